// Optimizer step and fixed-order sums on the GPU (update.h): one pass over memory each.
#include "model/cuda/update.h"

#include <algorithm>
#include <cmath>

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/tensors.cuh"
#include "model/ops/row_parts.h"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 256;

// The constants of one step, from double.
struct AdamWFactors {
  float scale, beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_correction, eps, decay;
};

// Storage of what is half a number: the lower halves of bf16 weights' masters.
template <int kCount>
__device__ __forceinline__ void load_halves(uint32_t (&halves)[kCount], const uint16_t* from) {
  using Moved = typename MovedAs<kCount * sizeof(uint16_t)>::type;
  union {
    Moved moved;
    uint16_t numbers[kCount];
  };
  moved = *reinterpret_cast<const Moved*>(from);
#pragma unroll
  for (int i = 0; i < kCount; ++i) halves[i] = numbers[i];
}
template <int kCount>
__device__ __forceinline__ void store_halves(uint16_t* to, const uint32_t (&halves)[kCount]) {
  using Moved = typename MovedAs<kCount * sizeof(uint16_t)>::type;
  union {
    Moved moved;
    uint16_t numbers[kCount];
  };
#pragma unroll
  for (int i = 0; i < kCount; ++i) numbers[i] = static_cast<uint16_t>(halves[i]);
  *reinterpret_cast<Moved*>(to) = moved;
}

// Decay comes first, on the old weight, as torch.optim.AdamW does it. kVector elements a thread. A bf16 weight's master is
// the weight, its lower half and the sign of v (AdamWState in ops/update.h).
template <typename W, int kVector>
__global__ void __launch_bounds__(kThreads)
    adamw(W* __restrict__ weight, uint16_t* __restrict__ low, float* __restrict__ m, float* __restrict__ v,
          const float* __restrict__ gradient, int64_t n, AdamWFactors f) {
  constexpr bool kHalves = sizeof(W) == 2;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  if (at >= n) return;
  float masters[kVector], means[kVector], squares[kVector], gradients[kVector];
  load(masters, weight + at);
  load(means, m + at);
  load(squares, v + at);
  load(gradients, gradient + at);
  if constexpr (kHalves) {
    uint32_t halves[kVector];
    load_halves(halves, low + at);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const uint32_t rounded_up = __float_as_uint(squares[i]) >> 31;
      const uint32_t upper = (__float_as_uint(masters[i]) >> 16) - rounded_up;
      masters[i] = __uint_as_float(upper << 16 | halves[i]);
      squares[i] = fabsf(squares[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    const float g = gradients[i] * f.scale;
    means[i] = __fmaf_rn(means[i], f.beta1, g * f.one_minus_beta1);
    squares[i] = __fmaf_rn(squares[i], f.beta2, g * g * f.one_minus_beta2);
    const float root = __fmaf_rn(__fsqrt_rn(squares[i]), f.root_correction, f.eps);
    masters[i] = __fmaf_rn(__fdiv_rn(means[i], root), f.step_size, __fmaf_rn(masters[i], f.decay, masters[i]));
  }
  if constexpr (kHalves) {
    uint32_t halves[kVector];
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const uint32_t bits = __float_as_uint(masters[i]);
      halves[i] = bits & 0xffffu;
      const uint32_t rounded = __bfloat16_as_ushort(__float2bfloat16_rn(masters[i]));
      if (rounded != bits >> 16) squares[i] = __uint_as_float(__float_as_uint(squares[i]) | 0x80000000u);
    }
    store_halves(low + at, halves);
  }
  store(m + at, means);
  store(v + at, squares);
  store(weight + at, masters);
}

constexpr int kMaxTerms = 16;
struct Terms {
  const float* data[kMaxTerms];
  int merges[kMaxTerms];
  int count;
};

template <int kVector>
__global__ void __launch_bounds__(kThreads) ordered_sum(float* sum, Terms terms, int64_t n) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  if (at >= n) return;
  float stack[kMaxTerms][kVector];
  int open = 0;
  for (int term = 0; term < terms.count; ++term) {
    load(stack[open++], terms.data[term] + at);
    for (int merge = 0; merge < terms.merges[term]; ++merge) {
      --open;
#pragma unroll
      for (int i = 0; i < kVector; ++i) stack[open - 1][i] += stack[open][i];
    }
  }
  store(sum + at, stack[0]);
}

constexpr int kSumChunk = 4096, kSumLanes = 16;

// Sums of squares of chunks: 16 lanes a chunk, lane l adding up elements l, l + 16, ..., then a tree over lanes.
__global__ void __launch_bounds__(kThreads)
    square_chunks(double* __restrict__ sums, const float* __restrict__ data, int64_t n, int64_t chunks) {
  const int64_t chunk = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kSumLanes;
  const int lane = threadIdx.x % kSumLanes;
  double sum = 0;
  if (chunk < chunks) {
    const int64_t begin = chunk * kSumChunk, end = n < begin + kSumChunk ? n : begin + kSumChunk;
#pragma unroll 8
    for (int64_t i = begin + lane; i < end; i += kSumLanes) {
      const double x = data[i];
      sum = __fma_rn(x, x, sum);  // the product is exact
    }
  }
  // Lanes of chunks that are not there take part too. Lane l gets that of l + apart: lane 0 ends with the tree's sum.
#pragma unroll
  for (int apart = kSumLanes / 2; apart > 0; apart /= 2) sum += __shfl_down_sync(kWholeWarp, sum, apart, kSumLanes);
  if (chunk < chunks && lane == 0) sums[chunk] = sum;
}

// Block b: the tree over sums[512 b .. 512 b + 511] of n, neighbours in pairs, an odd last one as it is.
__global__ void __launch_bounds__(kThreads) sum_pairs(double* __restrict__ to, const double* __restrict__ from, int64_t n) {
  GPU_SHARED(double, level, [2][kThreads]);
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * 2 * kThreads;
  int count = static_cast<int>(n - begin < 2 * kThreads ? n - begin : 2 * kThreads);  // of the level below
  const int pair = 2 * static_cast<int>(threadIdx.x);
  double sum = 0;
  if (pair < count) sum = pair + 1 < count ? from[begin + pair] + from[begin + pair + 1] : from[begin + pair];
  level[0][threadIdx.x] = sum;
  int now = 0;
  for (count = (count + 1) / 2; count > 1; count = (count + 1) / 2) {
    __syncthreads();
    if (pair < count)
      level[1 - now][threadIdx.x] = pair + 1 < count ? level[now][pair] + level[now][pair + 1] : level[now][pair];
    now = 1 - now;
  }
  if (threadIdx.x == 0) to[blockIdx.x] = level[now][0];
}

}  // namespace kernels

namespace {

constexpr int kVector = 4;

double correction(float beta, int64_t step) {
  return 1.0 - std::pow(static_cast<double>(beta), static_cast<double>(step));
}

kernels::AdamWFactors factors_of(const AdamWStep& s) {
  return {.scale = s.gradient_scale,
          .beta1 = s.beta1,
          .one_minus_beta1 = static_cast<float>(1.0 - static_cast<double>(s.beta1)),
          .beta2 = s.beta2,
          .one_minus_beta2 = static_cast<float>(1.0 - static_cast<double>(s.beta2)),
          .step_size = static_cast<float>(-s.learning_rate / correction(s.beta1, s.step)),
          .root_correction = static_cast<float>(1.0 / std::sqrt(correction(s.beta2, s.step))),
          .eps = s.eps,
          .decay = static_cast<float>(-static_cast<double>(s.learning_rate) * s.weight_decay)};
}

int64_t chunks_of(int64_t n) { return (n + kernels::kSumChunk - 1) / kernels::kSumChunk; }

}  // namespace

void adamw(Tensor weight, Tensor low, Tensor m, Tensor v, Tensor gradient, const AdamWStep& step, Stream stream) {
  const int64_t n = weight.size();
  CHECK(m.size() == n && v.size() == n && gradient.size() == n && low.size() == (weight.dtype == DType::bf16 ? n : 0),
        "adamw: {} weights ({}), {} and {} moments, {} gradients, {} halves", n, dtype_name(weight.dtype), m.size(), v.size(),
        gradient.size(), low.size());
  CHECK(step.step >= 1, "adamw: step {}, counted from 1", step.step);
  CHECK(step.beta1 >= 0 && step.beta1 < 1 && step.beta2 >= 0 && step.beta2 < 1,
        "adamw: betas {}, {}; allowed are [0, 1)", step.beta1, step.beta2);
  bool vectors = true;
  for (const Tensor& t : {weight, low, m, v, gradient}) {
    check_on_device("adamw", "a tensor", t);
    vectors = vectors && rows_align(t, n, kVector);
  }
  if (n == 0) return;
  with_storage(weight.dtype, [&]<typename W>(W) {
    launch(vectors ? kernels::adamw<W, kVector> : kernels::adamw<W, 1>,
           blocks_for(n, kernels::kThreads * (vectors ? kVector : 1)), kernels::kThreads, 0, stream, data_of<W>(weight),
           static_cast<uint16_t*>(low.data), m.f32(), v.f32(), gradient.f32(), n, factors_of(step));
  });
}

void ordered_sum(Tensor sum, std::span<const Tensor> terms, std::span<const int> merges, Stream stream) {
  const int64_t n = sum.size();
  CHECK(!terms.empty() && terms.size() <= kernels::kMaxTerms, "ordered_sum: {} terms, 1 to {} are allowed", terms.size(),
        kernels::kMaxTerms);
  CHECK(merges.empty() || merges.size() == terms.size(), "ordered_sum: {} terms, {} merges", terms.size(),
        merges.size());
  check_on_device("ordered_sum", "sum", sum);
  kernels::Terms device{};
  device.count = static_cast<int>(terms.size());
  bool vectors = rows_align(sum, n, kVector);
  int open = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    check_on_device("ordered_sum", "a term", terms[i]);
    CHECK(terms[i].size() == n, "ordered_sum: term {} has {} elements, the sum {}", i, terms[i].size(), n);
    vectors = vectors && rows_align(terms[i], n, kVector);
    device.data[i] = terms[i].f32();
    device.merges[i] = !merges.empty() ? merges[i] : i > 0 ? 1 : 0;
    ++open;
    CHECK(device.merges[i] >= 0 && device.merges[i] < open, "ordered_sum: {} merges of {} sums", device.merges[i], open);
    open -= device.merges[i];
  }
  CHECK(open == 1, "ordered_sum: {} sums are left", open);
  if (n == 0) return;
  launch(vectors ? kernels::ordered_sum<kVector> : kernels::ordered_sum<1>,
         blocks_for(n, kernels::kThreads * (vectors ? kVector : 1)), kernels::kThreads, 0, stream, sum.f32(), device, n);
}

size_t sum_of_squares_scratch(int64_t n) {
  const int64_t chunks = std::max<int64_t>(1, chunks_of(n));
  return static_cast<size_t>(chunks + blocks_for(chunks, 2 * kernels::kThreads)) * sizeof(double);
}

void sum_of_squares(double* result, Tensor data, void* scratch, Stream stream) {
  check_on_device("sum_of_squares", "data", data);
  const int64_t n = data.size();
  int64_t count = std::max<int64_t>(1, chunks_of(n));  // of no data, one chunk: 0
  double *from = static_cast<double*>(scratch), *to = from + count;
  const bool alone = count == 1;
  launch(kernels::square_chunks, blocks_for(count * kernels::kSumLanes, kernels::kThreads), kernels::kThreads, 0, stream,
         alone ? result : from, data.f32(), n, count);
  for (; count > 1; std::swap(from, to)) {
    const unsigned blocks = blocks_for(count, 2 * kernels::kThreads);
    launch(kernels::sum_pairs, blocks, kernels::kThreads, 0, stream, blocks == 1 ? result : to, from, count);
    count = blocks;
  }
}

}  // namespace cohort::cuda
