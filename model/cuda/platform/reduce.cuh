// Sums over a warp and over a block, in an order fixed by lane and warp: the same bits in every run, and in all threads.
#pragma once

#include "model/cuda/platform/platform.cuh"

namespace cohort::cuda {

// Every lane gets the sum over the warp, a butterfly: lanes 16 apart first, 1 apart last.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2) value += __shfl_xor_sync(kWholeWarp, value, apart);
  return value;
}

// Every thread gets the sum over a block of kThreads (a multiple of 32): warps first, then their sums from warp 0 up.
// All threads of the block must call it together; it may be called again at once.
template <int kThreads>
__device__ __forceinline__ float block_sum(float value) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024);
  GPU_SHARED(float, sums, [kThreads / 32]);
  value = warp_sum(value);
  __syncthreads();  // the sums of the call before may still be read
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
  __syncthreads();
  float total = sums[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / 32; ++warp) total += sums[warp];
  return total;
}

}  // namespace cohort::cuda
