// Optimizer step and fixed-order sums on the CPU (ops/update.h). All of them wait for memory: one pass each.
#include "model/ops/update.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>

#include "core/check.h"
#include "model/cpu/gemm.h"
#include "model/cpu/master_weights.h"
#include "model/cpu/parallel.h"
#include "model/cpu/vector_math.h"
#include "model/ops/gpu.h"

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

// The arrays of some elements, from the first on.
template <typename W>
struct Elements {
  W* weight;
  uint16_t* low;  // null: the weights are their own masters
  float *m, *v;
  const float* gradient;
};

// Elements [i, i + lanes). Decay comes first, on the old weight, as torch.optim.AdamW does it.
template <typename W, typename Lanes>
void adamw_lanes(const Elements<W>& e, int64_t i, Lanes lanes, const Factors& f) {
  const F16 kept = load_first(e.v + i, lanes);
  const F16 g = load_first(e.gradient + i, lanes) * f.scale;
  const F16 mean = fma(load_first(e.m + i, lanes), f.beta1, g * f.one_minus_beta1);
  const F16 square = fma(abs(kept), f.beta2, g * g * f.one_minus_beta2);
  F16 before;
  if constexpr (sizeof(W) == 2) {
    before = join_master(e.weight + i, e.low + i, kept, lanes);
  } else {
    before = load_first(e.weight + i, lanes);
  }
  const F16 decayed = fma(before, f.decay, before);
  const F16 root = fma(sqrt(square), f.root_correction, f.eps);
  const F16 after = fma(mean / root, f.step_size, decayed);
  store_first(e.m + i, mean, lanes);
  if constexpr (sizeof(W) == 2) {
    store_first(e.v + i, split_master(e.weight + i, e.low + i, after, square, lanes), lanes);
  } else {
    store_first(e.weight + i, after, lanes);
    store_first(e.v + i, square, lanes);
  }
}

template <typename W>
void adamw_elements(const Elements<W>& elements, int64_t count, const Factors& factors) {
  each_vector(count, [&](int64_t i, auto lanes) { adamw_lanes(elements, i, lanes, factors); });
}

// From element `at` of the state on.
template <typename W>
Elements<W> elements_at(W* weight, const AdamWState& state, std::span<const float> gradient, int64_t at) {
  return {weight, sizeof(W) == 2 ? state.low.data() + at : nullptr, state.m.data() + at, state.v.data() + at,
          gradient.data() + at};
}

void check_state(const char* op, DType dtype, int64_t weights, const AdamWState& state, size_t n) {
  CHECK(weights == static_cast<int64_t>(n) && state.m.size() == n && state.v.size() == n &&
            state.low.size() == (dtype == DType::bf16 ? n : 0),
        "{}: {} numbers for {} weights ({}), {} and {} moments, {} halves", op, n, weights, dtype_name(dtype),
        state.m.size(), state.v.size(), state.low.size());
}

void check_step(const AdamWStep& step) {
  CHECK(step.step >= 1, "adamw: step {}, counted from 1", step.step);
  CHECK(step.beta1 >= 0 && step.beta1 < 1 && step.beta2 >= 0 && step.beta2 < 1,
        "adamw: betas {}, {}; allowed are [0, 1)", step.beta1, step.beta2);
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

void adamw(Tensor weight, const AdamWState& state, std::span<const float> gradient, const AdamWStep& step,
           const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::adamw(weight, state, gradient, step, *ex.gpu);
  check_state("adamw", weight.dtype, weight.size(), state, gradient.size());
  check_step(step);
  const Factors factors(step);
  with_storage(weight.dtype, [&]<typename W>(W) {
    for_chunks(ex, weight.size(), kTaskElements, [&](int64_t begin, int64_t end) {
      adamw_elements(elements_at(static_cast<W*>(weight.data) + begin, state, gradient, begin), end - begin, factors);
    });
  });
}

void adamw(PackedWeight& weight, int64_t begin, const AdamWState& state, std::span<const float> gradient,
           const AdamWStep& step, const Exec& ex) {
  const auto n = static_cast<int64_t>(gradient.size());
  CHECK(begin >= 0 && begin + n <= weight.n * weight.k, "adamw: elements [{}, {}) of a weight ({}, {})", begin, begin + n,
        weight.n, weight.k);
  check_state("adamw", weight.dtype, n, state, gradient.size());
  check_step(step);
  const Factors factors(step);
  const gemm::PanelRange range = gemm::panels_over(weight, begin, n);
  with_storage(weight.dtype, [&]<typename W>(W) {
    // A strip of a panel is unpacked, updated and packed again while it is in the nearest caches.
    ex.pool->run(range.end - range.begin, [&](int64_t task, int thread) {
      const int64_t p = range.begin + task;
      void* space = ex.workspace->get(thread, gemm::strip_rows_bytes(weight));
      for (int64_t s = 0; s < gemm::strips_of(weight, p); ++s) {
        const gemm::PanelPart part = gemm::part_of_strip(weight, p, s, begin, n);
        if (part.count <= 0) continue;
        const Tensor rows = gemm::unpack_strip(space, weight, p, s);
        adamw_elements(elements_at(static_cast<W*>(rows.data) + part.at, state, gradient, part.span_at), part.count, factors);
        gemm::pack_strip(weight, rows, p, s);
      }
    });
  });
}

void split_masters(Tensor weight, const AdamWState& state, std::span<const float> master) {
  const auto n = static_cast<int64_t>(master.size());
  check_state("split_masters", weight.dtype, weight.size(), state, master.size());
  if (weight.dtype == DType::f32) {
    std::copy(master.begin(), master.end(), weight.f32());
    return;
  }
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t lanes = lanes_left(n, i);
    const F16 v = abs(load_first(state.v.data() + i, lanes));
    store_first(state.v.data() + i,
                split_master(weight.b16() + i, state.low.data() + i, load_first(master.data() + i, lanes), v, lanes),
                lanes);
  }
}

void join_masters(std::span<float> master, Tensor weight, const AdamWState& state) {
  const auto n = static_cast<int64_t>(master.size());
  check_state("join_masters", weight.dtype, weight.size(), state, master.size());
  if (weight.dtype == DType::f32) {
    std::copy(weight.f32(), weight.f32() + n, master.begin());
    return;
  }
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t lanes = lanes_left(n, i);
    store_first(master.data() + i,
                join_master(weight.b16() + i, state.low.data() + i, load_first(state.v.data() + i, lanes), lanes), lanes);
  }
}

void add_into(std::span<float> sum, std::span<const float> other, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::add_into(sum, other, *ex.gpu);
  CHECK(sum.size() == other.size(), "add_into: {} elements to {}", other.size(), sum.size());
  float* to = sum.data();
  const float* from = other.data();
  for_chunks(ex, static_cast<int64_t>(sum.size()), kPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] += from[i];
  });
}

double sum_of_squares(std::span<const float> data, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::sum_of_squares(data, *ex.gpu);
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
  if (ex.gpu != nullptr) return gpu::find_non_finite(data, *ex.gpu);
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
