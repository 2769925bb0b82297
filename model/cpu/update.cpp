// Optimizer step and fixed-order sums on the CPU (ops/update.h). All of them wait for memory: one pass each.
#include "model/ops/update.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>

#include "core/check.h"
#include "model/cpu/parallel.h"
#include "model/cpu/vector_math.h"

namespace cohort {
namespace {

using namespace simd;

constexpr int64_t kSumChunk = 4096;
constexpr int64_t kPerTask = 16 * kSumChunk;

// The constants of one AdamW step, from double.
struct Factors {
  F16 scale, beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_correction, eps, decay;

  explicit Factors(const AdamWStep& s)
      : scale(splat(s.gradient_scale)),
        beta1(splat(s.beta1)),
        one_minus_beta1(splat(static_cast<float>(1.0 - static_cast<double>(s.beta1)))),
        beta2(splat(s.beta2)),
        one_minus_beta2(splat(static_cast<float>(1.0 - static_cast<double>(s.beta2)))),
        step_size(splat(static_cast<float>(-s.learning_rate / correction(s.beta1, s.step)))),
        root_correction(splat(static_cast<float>(1.0 / std::sqrt(correction(s.beta2, s.step))))),
        eps(splat(s.eps)),
        decay(splat(static_cast<float>(-static_cast<double>(s.learning_rate) * s.weight_decay))) {}

  static double correction(float beta, int64_t step) {
    return 1.0 - std::pow(static_cast<double>(beta), static_cast<double>(step));
  }
};

// Elements [i, i + lanes). Decay comes first, on the old weight, as torch.optim.AdamW does it.
template <typename W>
void adamw_lanes(float* master, float* m, float* v, const float* gradient, W* weight, int64_t i, int64_t lanes,
                 const Factors& f) {
  const F16 g = load_first(gradient + i, lanes) * f.scale;
  const F16 mean = fma(load_first(m + i, lanes), f.beta1, g * f.one_minus_beta1);
  const F16 square = fma(load_first(v + i, lanes), f.beta2, g * g * f.one_minus_beta2);
  const F16 before = load_first(master + i, lanes), decayed = fma(before, f.decay, before);
  const F16 root = fma(sqrt(square), f.root_correction, f.eps);
  const F16 after = fma(mean / root, f.step_size, decayed);
  store_first(m + i, mean, lanes);
  store_first(v + i, square, lanes);
  store_first(master + i, after, lanes);
  store_first(weight + i, after, lanes);
}

// Sum of squares of n <= 4096 floats: lane l of the 16 adds up elements l, l + 16, ... in double, then a tree over
// lanes.
double chunk_squares(const float* data, int64_t n) {
  double sum[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const double x = data[i + l];
      sum[l] += x * x;  // exact product: the same whether or not it is fused with the sum
    }
  }
  for (int l = 0; i < n; ++i, ++l) sum[l] += static_cast<double>(data[i]) * data[i];
  for (int64_t step = kLanes / 2; step > 0; step /= 2)
    for (int64_t l = 0; l < step; ++l) sum[l] += sum[l + step];
  return sum[0];
}

bool all_finite(const float* data, int64_t n) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(data[i]) & 0x7FFFFFFFu);
  return largest < 0x7F800000u;
}

}  // namespace

void adamw(std::span<float> master, std::span<float> m, std::span<float> v, std::span<const float> gradient,
           Tensor weight, const AdamWStep& step, const Exec& ex) {
  const size_t n = master.size();
  CHECK(m.size() == n && v.size() == n && gradient.size() == n && weight.size() == static_cast<int64_t>(n),
        "adamw: {} masters, {} and {} moments, {} gradients, {} weights", n, m.size(), v.size(), gradient.size(),
        weight.size());
  CHECK(step.step >= 1, "adamw: step {}, counted from 1", step.step);
  CHECK(step.beta1 >= 0 && step.beta1 < 1 && step.beta2 >= 0 && step.beta2 < 1,
        "adamw: betas {}, {}; allowed are [0, 1)", step.beta1, step.beta2);
  const Factors factors(step);
  with_storage(weight.dtype, [&]<typename W>(W) {
    W* to = static_cast<W*>(weight.data);
    for_chunks(ex, static_cast<int64_t>(n), kTaskElements, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kLanes)
        adamw_lanes(master.data(), m.data(), v.data(), gradient.data(), to, i, lanes_left(end, i), factors);
    });
  });
}

void add_into(std::span<float> sum, std::span<const float> other, const Exec& ex) {
  CHECK(sum.size() == other.size(), "add_into: {} elements to {}", other.size(), sum.size());
  float* to = sum.data();
  const float* from = other.data();
  for_chunks(ex, static_cast<int64_t>(sum.size()), kPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] += from[i];
  });
}

double sum_of_squares(std::span<const float> data, const Exec& ex) {
  const int64_t n = static_cast<int64_t>(data.size());
  int64_t chunks = (n + kSumChunk - 1) / kSumChunk;
  if (chunks == 0) return 0.0;
  double* sums = static_cast<double*>(ex.workspace->get(0, static_cast<size_t>(chunks) * sizeof(double)));
  for_chunks(ex, chunks, kPerTask / kSumChunk, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c)
      sums[c] = chunk_squares(data.data() + c * kSumChunk, std::min(kSumChunk, n - c * kSumChunk));
  });
  for (; chunks > 1; chunks = (chunks + 1) / 2) {  // neighbours in pairs, an odd last one as it is
    for (int64_t c = 0; c < chunks / 2; ++c) sums[c] = sums[2 * c] + sums[2 * c + 1];
    if (chunks % 2 == 1) sums[chunks / 2] = sums[chunks - 1];
  }
  return sums[0];
}

int64_t find_non_finite(std::span<const float> data, const Exec& ex) {
  const int64_t n = static_cast<int64_t>(data.size());
  std::atomic<int64_t> first{n};
  for_chunks(ex, n, kPerTask, [&](int64_t begin, int64_t end) {
    if (begin >= first.load() || all_finite(data.data() + begin, end - begin)) return;
    int64_t i = begin;
    while (std::isfinite(data[static_cast<size_t>(i)])) ++i;
    for (int64_t seen = first.load(); i < seen && !first.compare_exchange_weak(seen, i);) {
    }
  });
  return first.load() == n ? -1 : first.load();
}

}  // namespace cohort
