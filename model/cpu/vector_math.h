// Sixteen floats at a time, with exp, exp2, log and tanh of our own: AVX-512 where the kernels are compiled for it,
// plain loops otherwise. Every operation is the same IEEE operation on both paths, and sums of lanes run in one fixed
// tree.
//
// Private to model/cpu. The functions are polynomials (own Chebyshev fits of the reduced argument), within 2 ulp (tanh:
// 3).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "model/cpu/intrinsics.h"
#include "model/tensor.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define COHORT_VECTOR_AVX512 1
#else
#define COHORT_VECTOR_AVX512 0
#endif

namespace cohort::simd {

constexpr int64_t kLanes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLog2e = 1.44269504f, kLn2 = 0.693147181f;

// The lowest `count` lanes, count in [0, 16].
inline uint32_t first_lanes(int64_t count) { return (1u << count) - 1u; }
// Elements in the vector that begins at `at` of `size`.
inline int64_t lanes_left(int64_t size, int64_t at) { return std::min(kLanes, size - at); }
constexpr int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

#if COHORT_VECTOR_AVX512

struct F16 {
  __m512 v;
};
inline F16 splat(float x) { return {_mm512_set1_ps(x)}; }
inline F16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F16 load_first(const float* p, int64_t n) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>(first_lanes(n)), p)};
}
inline F16 widen(__m256i halves) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))}; }
inline F16 load(const bf16* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline F16 load_first(const bf16* p, int64_t n) {
  return widen(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(first_lanes(n)), p));
}
inline void store(float* p, F16 x) { _mm512_storeu_ps(p, x.v); }
inline void store_first(float* p, F16 x, int64_t n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>(first_lanes(n)), x.v);
}
// As to_bf16: nearest even, NaN stays NaN, subnormals kept.
inline __m256i narrow(F16 x) {
#if defined(__AVX512BF16__)
  // The processor's own conversion differs in subnormals alone, which it flushes.
  if (constexpr int kSubnormal = 0x20; _mm512_fpclass_ps_mask(x.v, kSubnormal) == 0) [[likely]]
    return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v));
#endif
  const __m512i bits = _mm512_castps_si512(x.v), upper = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
  const __m512i rounded =
      _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7FFF)), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(0x40)));
}
inline void store(bf16* p, F16 x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(x)); }
inline void store_first(bf16* p, F16 x, int64_t n) {
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>(first_lanes(n)), narrow(x));
}

inline F16 operator+(F16 a, F16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F16 operator-(F16 a, F16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F16 operator*(F16 a, F16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F16 operator/(F16 a, F16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F16 fma(F16 a, F16 b, F16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline F16 max(F16 a, F16 b) { return {_mm512_max_ps(a.v, b.v)}; }  // b where either is NaN
inline F16 min(F16 a, F16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F16 sqrt(F16 a) { return {_mm512_sqrt_ps(a.v)}; }
inline F16 abs(F16 a) { return {_mm512_abs_ps(a.v)}; }
inline F16 with_sign(F16 size, F16 sign) {  // size not negative
  return {_mm512_or_ps(size.v, _mm512_and_ps(sign.v, _mm512_set1_ps(-0.0f)))};
}
inline F16 round(F16 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline F16 select(uint32_t lanes, F16 a, F16 b) {
  return {_mm512_mask_mov_ps(b.v, static_cast<__mmask16>(lanes), a.v)};
}
inline uint32_t greater_equal(F16 a, F16 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ); }
// a 2^n, n whole; one rounding where the result is subnormal.
inline F16 scale_by_power(F16 a, F16 n) { return {_mm512_scalef_ps(a.v, n.v)}; }
// x = mantissa 2^exponent, mantissa in [0.75, 1.5). x positive, normal, finite.
inline void split_exponent(F16 x, F16& mantissa, F16& exponent) {
  mantissa = {_mm512_getmant_ps(x.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_zero)};
  exponent = {_mm512_sub_ps(_mm512_getexp_ps(x.v), _mm512_getexp_ps(mantissa.v))};
}

// Lane i with i + 8, then + 4, + 2, + 1.
template <typename Combine>
float reduce(F16 x, Combine combine) {
  x = combine(x, {_mm512_shuffle_f32x4(x.v, x.v, 0x4E)});
  x = combine(x, {_mm512_shuffle_f32x4(x.v, x.v, 0xB1)});
  x = combine(x, {_mm512_permute_ps(x.v, 0x4E)});
  x = combine(x, {_mm512_permute_ps(x.v, 0xB1)});
  return _mm512_cvtss_f32(x.v);
}

#else

struct F16 {
  float v[16];
};
template <typename Body>
F16 each(Body body) {
  F16 result;
  for (int i = 0; i < 16; ++i) result.v[i] = body(i);
  return result;
}
inline F16 splat(float x) {
  return each([=](int) { return x; });
}
template <typename T>
F16 load(const T* p) {
  return each([=](int i) { return to_float(p[i]); });
}
template <typename T>
F16 load_first(const T* p, int64_t n) {
  return each([=](int i) { return i < n ? to_float(p[i]) : 0.0f; });
}
inline void store_first(float* p, F16 x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = x.v[i];
}
inline void store_first(bf16* p, F16 x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = to_bf16(x.v[i]);
}
inline void store(float* p, F16 x) { store_first(p, x, 16); }
inline void store(bf16* p, F16 x) { store_first(p, x, 16); }

inline F16 operator+(F16 a, F16 b) {
  return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline F16 operator-(F16 a, F16 b) {
  return each([&](int i) { return a.v[i] - b.v[i]; });
}
inline F16 operator*(F16 a, F16 b) {
  return each([&](int i) { return a.v[i] * b.v[i]; });
}
inline F16 operator/(F16 a, F16 b) {
  return each([&](int i) { return a.v[i] / b.v[i]; });
}
inline F16 fma(F16 a, F16 b, F16 c) {
  return each([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
inline F16 max(F16 a, F16 b) {
  return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline F16 min(F16 a, F16 b) {
  return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline F16 sqrt(F16 a) {
  return each([&](int i) { return std::sqrt(a.v[i]); });
}
inline F16 abs(F16 a) {
  return each([&](int i) { return std::abs(a.v[i]); });
}
inline F16 with_sign(F16 size, F16 sign) {
  return each([&](int i) { return std::copysign(size.v[i], sign.v[i]); });
}
inline F16 round(F16 a) {
  return each([&](int i) { return std::nearbyint(a.v[i]); });
}
inline F16 select(uint32_t lanes, F16 a, F16 b) {
  return each([&](int i) { return (lanes >> i & 1) != 0 ? a.v[i] : b.v[i]; });
}
inline uint32_t greater_equal(F16 a, F16 b) {
  uint32_t lanes = 0;
  for (int i = 0; i < 16; ++i) lanes |= uint32_t{a.v[i] >= b.v[i]} << i;
  return lanes;
}
inline F16 scale_by_power(F16 a, F16 n) {
  return each([&](int i) {
    if (!(std::abs(n.v[i]) < 200)) return a.v[i] * n.v[i];         // NaN: no exponent to build
    const int whole = static_cast<int>(n.v[i]), half = whole / 2;  // in two exact powers: 2^-150 is not a float
    return a.v[i] * std::bit_cast<float>((half + 127) << 23) * std::bit_cast<float>((whole - half + 127) << 23);
  });
}
inline void split_exponent(F16 x, F16& mantissa, F16& exponent) {
  for (int i = 0; i < 16; ++i) {
    const int32_t bits = std::bit_cast<int32_t>(x.v[i]);
    const int32_t e = (bits - 0x3F400000) >> 23;  // 0x3F400000 is 0.75
    mantissa.v[i] = std::bit_cast<float>(bits - (e << 23));
    exponent.v[i] = static_cast<float>(e);
  }
}
template <typename Combine>
float reduce(F16 x, Combine combine) {
  for (int step = 8; step > 0; step /= 2) x = combine(x, each([&](int i) { return x.v[i ^ step]; }));
  return x.v[0];
}

#endif

// As many elements as a vector has: for kernels that know it when they are compiled, and then need no masks.
struct AllLanes {
  constexpr operator int64_t() const { return kLanes; }
};
template <typename T>
F16 load_first(const T* p, AllLanes) {
  return load(p);
}
template <typename T>
void store_first(T* p, F16 x, AllLanes) {
  store(p, x);
}

// body(at, lanes) for each vector of n elements; lanes: AllLanes, or how many elements the last one has.
template <typename Body>
void each_vector(int64_t n, const Body& body) {
  int64_t at = 0;
  for (; at + kLanes <= n; at += kLanes) body(at, AllLanes());
  if (at < n) body(at, n - at);
}

inline float sum_lanes(F16 x) {
  return reduce(x, [](F16 a, F16 b) { return a + b; });
}
inline float max_lanes(F16 x) {
  return reduce(x, [](F16 a, F16 b) { return max(a, b); });
}

// (2^r - 1) / r for r in [-0.5, 0.5].
inline F16 exp2_slope(F16 r) {
  F16 p = splat(0x1.44138ap-13f);
  p = fma(p, r, splat(0x1.5f089p-10f));
  p = fma(p, r, splat(0x1.3b2a54p-7f));
  p = fma(p, r, splat(0x1.c6af6cp-5f));
  p = fma(p, r, splat(0x1.ebfbep-3f));
  return fma(p, r, splat(0x1.62e43p-1f));
}

// 2^r (r in [-0.5, 0.5]) times 2^n.
inline F16 exp2_reduced(F16 r, F16 n) { return scale_by_power(fma(exp2_slope(r), r, splat(1.0f)), n); }

// x log2(e) - n, with log2(e) in two parts.
inline F16 times_log2e(F16 x, F16 n) {
  return fma(x, splat(0x1.4ae0cp-26f), fma(x, splat(0x1.715476p+0f), splat(0.0f) - n));
}

// 2^x for x <= 0, also -inf, or above it by rounding only; 0 below 2^-149. 2^0 is exactly 1.
inline F16 exp2_nonpositive(F16 x) {
  x = max(splat(-150.0f), x);
  const F16 n = round(x);
  return exp2_reduced(x - n, n);
}

// e^x for any x; infinity above log(FLT_MAX), 0 below the smallest subnormal. exp(0) is exactly 1.
inline F16 exp(F16 x) {
  x = min(splat(89.0f), max(splat(-104.0f), x));
  const F16 n = round(x * splat(kLog2e));
  return exp2_reduced(times_log2e(x, n), n);
}

// Hyperbolic tangent of any x: e / (e + 2) with e = e^(2|x|) - 1, which loses nothing near 0. tanh(-x) is -tanh(x).
inline F16 tanh(F16 x) {
  const F16 y = min(splat(20.0f), abs(x + x));  // tanh(10) is 1 rounded
  const F16 n = round(y * splat(kLog2e)), r = times_log2e(y, n), power = scale_by_power(splat(1.0f), n);
  const F16 e = fma(power, exp2_slope(r) * r, power - splat(1.0f));
  return with_sign(e / (e + splat(2.0f)), x);
}

// Natural logarithm; x positive, normal, finite. log(1) is exactly 0.
inline F16 log(F16 x) {
  F16 m, e;
  split_exponent(x, m, e);
  const F16 f = m - splat(1.0f);
  F16 p = splat(-0x1.842826p-5f);
  p = fma(p, f, splat(0x1.b339ccp-4f));
  p = fma(p, f, splat(-0x1.0cc1acp-3f));
  p = fma(p, f, splat(0x1.27b318p-3f));
  p = fma(p, f, splat(-0x1.54f19ap-3f));
  p = fma(p, f, splat(0x1.997802p-3f));
  p = fma(p, f, splat(-0x1.000068p-2f));
  p = fma(p, f, splat(0x1.555580p-2f));
  p = fma(p, f, splat(-0.5f));
  // e ln2 + f + f^2 p, with ln2 in two parts
  const F16 small = fma(e, splat(-0x1.05c610p-29f), f * f * p);
  return fma(e, splat(0x1.62e430p-1f), f + small);
}

}  // namespace cohort::simd
