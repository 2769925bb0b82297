// Sums and maxima over a warp and over a block, in an order fixed by lane and warp: the same bits in every run, and in all
// threads.
#pragma once

#include "model/cuda/platform/platform.cuh"

namespace cohort::cuda {

// Every lane gets the sum over the warp, a butterfly: lanes 16 apart first, 1 apart last.
template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2) value += __shfl_xor_sync(kWholeWarp, value, apart);
  return value;
}

// The larger one, NaN where either is.
__device__ __forceinline__ float max_or_nan(float a, float b) { return a > b || a != a ? a : b; }

// What every thread of a block of kThreads gets: combine() of one value of each warp, from warp 0 up.
template <int kThreads, typename T, typename Combine>
__device__ __forceinline__ T across_warps(T value, const Combine& combine) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024);
  GPU_SHARED(T, values, [kThreads / 32]);
  __syncthreads();  // those of the call before may still be read
  if (threadIdx.x % 32 == 0) values[threadIdx.x / 32] = value;
  __syncthreads();
  T total = values[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / 32; ++warp) total = combine(total, values[warp]);
  return total;
}

// Every thread gets the sum over a block of kThreads (a multiple of 32). All threads of the block must call it together;
// it may be called again at once.
template <int kThreads, typename T>
__device__ __forceinline__ T block_sum(T value) {
  return across_warps<kThreads>(warp_sum(value), [](T a, T b) { return a + b; });
}

// The same of the largest, NaN where one is.
template <int kThreads>
__device__ __forceinline__ float block_max(float value) {
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2) value = max_or_nan(value, __shfl_xor_sync(kWholeWarp, value, apart));
  return across_warps<kThreads>(value, [](float a, float b) { return max_or_nan(a, b); });
}

}  // namespace cohort::cuda
