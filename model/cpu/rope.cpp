// Rotary position embedding on the CPU (ops/rope.h). Sine and cosine come from own polynomials in double, which the
// compiler vectorises: sinf of the C library, one angle at a time, would cost as much as a small matrix product.
#include "model/ops/rope.h"

#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/check.h"
#include "model/cpu/parallel.h"
#include "model/cpu/vector_math.h"
#include "model/ops/gpu.h"

namespace cohort {
namespace {

using namespace simd;

constexpr int64_t kMaxHeadSize = 256;

// One row's rotation: cos and sin of `n` angles. The angle is the f32 product, as in transformers.
struct Rotation {
  alignas(64) float cos[kMaxHeadSize / 2], sin[kMaxHeadSize / 2];
};

// Angles below 2^24 are exact to 1e-8 before they are rounded to f32.
void rotation_of(Rotation& rotation, float position, std::span<const float> inverse_frequency) {
  const float* __restrict frequencies = inverse_frequency.data();
  float* __restrict to_cos = rotation.cos, * __restrict to_sin = rotation.sin;
  const int n = static_cast<int>(inverse_frequency.size());
  constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
  constexpr double kHalfPi = 0x1.921fb54442d18p+0, kHalfPiRest = 0x1.1a62633145c07p-54;
  constexpr double kRounder = 0x1.8p52;  // adding it leaves the nearest whole number in the low bits
  for (int i = 0; i < n; ++i) {
    const double angle = static_cast<double>(position * frequencies[i]);
    const double shifted = angle * kTwoOverPi + kRounder, quarters = shifted - kRounder;
    const uint64_t quadrant = std::bit_cast<uint64_t>(shifted);
    const double r = (angle - quarters * kHalfPi) - quarters * kHalfPiRest, r2 = r * r;
    // Taylor series up to r^13 and r^14: |r| <= pi/4 leaves less than 1e-12.
    const double s =
        r + r * r2 *
                (-1.0 / 6 +
                 r2 * (1.0 / 120 +
                       r2 * (-1.0 / 5040 + r2 * (1.0 / 362880 + r2 * (-1.0 / 39916800 + r2 * (1.0 / 6227020800))))));
    const double c =
        1.0 +
        r2 * (-1.0 / 2 +
              r2 * (1.0 / 24 +
                    r2 * (-1.0 / 720 + r2 * (1.0 / 40320 + r2 * (-1.0 / 3628800 + r2 * (1.0 / 479001600 +
                                                                                        r2 * (-1.0 / 87178291200)))))));
    // An odd quadrant swaps them, bit 1 of the quadrant (of the next one for cos) is the sign. As bits: no branches.
    uint64_t sine = std::bit_cast<uint64_t>(s), cosine = std::bit_cast<uint64_t>(c);
    const uint64_t swap = (sine ^ cosine) & (0 - (quadrant & 1));
    sine ^= swap ^ ((quadrant & 2) << 62);
    cosine ^= swap ^ (((quadrant + 1) & 2) << 62);
    to_sin[i] = static_cast<float>(std::bit_cast<double>(sine));
    to_cos[i] = static_cast<float>(std::bit_cast<double>(cosine));
  }
}

// (a, b) -> (a cos - b sin, b cos + a sin) on the halves of each of `heads` heads; `sign` -1 turns back.
template <typename To>
void rotate_heads(To* to, const float* from, int64_t heads, int64_t D, const Rotation& rotation, float sign) {
  const int64_t half = D / 2;
  for (int64_t h = 0; h < heads; ++h, to += D, from += D) {
    each_vector(half, [&](int64_t i, auto lanes) {
      const F16 a = load_first(from + i, lanes), b = load_first(from + half + i, lanes);
      const F16 c = load_first(rotation.cos + i, lanes), s = load_first(rotation.sin + i, lanes) * splat(sign);
      store_first(to + i, fma(a, c, b * s * splat(-1.0f)), lanes);
      store_first(to + half + i, fma(b, c, a * s), lanes);
    });
  }
}

template <typename To>
void convert(To* to, const float* from, int64_t n) {
  each_vector(n, [&](int64_t i, auto lanes) { store_first(to + i, load_first(from + i, lanes), lanes); });
}

// Checks the shapes both directions share and returns the head size.
int64_t check_rope(Tensor qkv, Tensor q, Tensor k, Tensor v, std::span<const int32_t> positions,
                   std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads) {
  const int64_t T = static_cast<int64_t>(positions.size()), D = 2 * static_cast<int64_t>(inverse_frequency.size());
  CHECK(D > 0 && D <= kMaxHeadSize, "rope: head size {}; allowed are 2 to {}", D, kMaxHeadSize);
  CHECK(qkv.size() == T * (num_heads + 2 * num_kv_heads) * D && q.size() == T * num_heads * D &&
            k.size() == T * num_kv_heads * D && v.size() == T * num_kv_heads * D,
        "rope: {} positions, {} + {} heads of {}; qkv, q, k, v have {}, {}, {}, {} elements", T, num_heads,
        num_kv_heads, D, qkv.size(), q.size(), k.size(), v.size());
  CHECK(k.dtype == q.dtype && v.dtype == q.dtype, "rope: q, k, v are {}, {}, {}", dtype_name(q.dtype),
        dtype_name(k.dtype), dtype_name(v.dtype));
  for (int32_t position : positions) CHECK(position >= 0, "rope: position {}", position);
  return D;
}

}  // namespace

void rope_split(Tensor q, Tensor k, Tensor v, Tensor qkv, std::span<const int32_t> positions,
                std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::rope_split(q, k, v, qkv, positions, inverse_frequency, num_heads, num_kv_heads, *ex.gpu);
  const int64_t D = check_rope(qkv, q, k, v, positions, inverse_frequency, num_heads, num_kv_heads);
  const int64_t q_width = num_heads * D, kv_width = num_kv_heads * D, width = q_width + 2 * kv_width;
  const float* from = qkv.f32();
  with_storage(q.dtype, [&]<typename A>(A) {
    for_rows(ex, static_cast<int64_t>(positions.size()), width, [&](int64_t t) {
      Rotation rotation;
      rotation_of(rotation, static_cast<float>(positions[static_cast<size_t>(t)]), inverse_frequency);
      const float* row = from + t * width;
      rotate_heads(static_cast<A*>(q.data) + t * q_width, row, num_heads, D, rotation, 1.0f);
      rotate_heads(static_cast<A*>(k.data) + t * kv_width, row + q_width, num_kv_heads, D, rotation, 1.0f);
      convert(static_cast<A*>(v.data) + t * kv_width, row + q_width + kv_width, kv_width);
    });
  });
}

void rope_split_backward(Tensor dqkv, Tensor dq, Tensor dk, Tensor dv, std::span<const int32_t> positions,
                         std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads,
                         const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::rope_split_backward(dqkv, dq, dk, dv, positions, inverse_frequency, num_heads, num_kv_heads, *ex.gpu);
  const int64_t D = check_rope(dqkv, dq, dk, dv, positions, inverse_frequency, num_heads, num_kv_heads);
  const int64_t q_width = num_heads * D, kv_width = num_kv_heads * D, width = q_width + 2 * kv_width;
  const float *from_q = dq.f32(), *from_k = dk.f32(), *from_v = dv.f32();
  with_storage(dqkv.dtype, [&]<typename A>(A) {
    for_rows(ex, static_cast<int64_t>(positions.size()), width, [&](int64_t t) {
      Rotation rotation;
      rotation_of(rotation, static_cast<float>(positions[static_cast<size_t>(t)]), inverse_frequency);
      A* row = static_cast<A*>(dqkv.data) + t * width;
      rotate_heads(row, from_q + t * q_width, num_heads, D, rotation, -1.0f);
      rotate_heads(row + q_width, from_k + t * kv_width, num_kv_heads, D, rotation, -1.0f);
      convert(row + q_width + kv_width, from_v + t * kv_width, kv_width);
    });
  });
}

}  // namespace cohort
