// Looks for the first number that is not finite (update.h): the smallest place in each block's share, then among blocks.
#include <algorithm>

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/platform/reduce.cuh"
#include "model/cuda/tensors.cuh"
#include "model/cuda/update.h"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 256;
constexpr int64_t kShare = 64 * kThreads;  // numbers a block looks at
constexpr int64_t kNowhere = INT64_MAX;

__device__ __forceinline__ int64_t block_min(int64_t value) {
  const auto lower = [](int64_t a, int64_t b) { return a < b ? a : b; };
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2)
    value = lower(value, static_cast<int64_t>(__shfl_xor_sync(kWholeWarp, static_cast<long long>(value), apart)));
  return across_warps<kThreads>(value, lower);
}

__global__ void __launch_bounds__(kThreads)
    non_finite_shares(int64_t* __restrict__ places, const float* __restrict__ data, int64_t n) {
  const int64_t begin = blockIdx.x * kShare, end = begin + kShare < n ? begin + kShare : n;
  int64_t place = kNowhere;
  for (int64_t i = begin + threadIdx.x; i < end && place == kNowhere; i += kThreads)
    if (!(fabsf(data[i]) <= 3.402823466e+38f)) place = i;
  place = block_min(place);
  if (threadIdx.x == 0) places[blockIdx.x] = place;
}

__global__ void __launch_bounds__(kThreads)
    first_place(int64_t* __restrict__ index, const int64_t* __restrict__ places, int64_t shares) {
  int64_t place = kNowhere;
  for (int64_t i = threadIdx.x; i < shares; i += kThreads) place = places[i] < place ? places[i] : place;
  place = block_min(place);
  if (threadIdx.x == 0) *index = place == kNowhere ? -1 : place;
}

}  // namespace kernels

size_t find_non_finite_scratch(int64_t n) {
  return std::max<size_t>(1, blocks_for(n, kernels::kShare)) * sizeof(int64_t);
}

void find_non_finite(int64_t* index, Tensor data, void* scratch, Stream stream) {
  check_on_device("find_non_finite", "data", data);
  const int64_t n = data.size();
  int64_t* places = static_cast<int64_t*>(scratch);
  const unsigned shares = blocks_for(n, kernels::kShare);
  if (shares > 0) launch(kernels::non_finite_shares, shares, kernels::kThreads, 0, stream, places, data.f32(), n);
  launch(kernels::first_place, 1, kernels::kThreads, 0, stream, index, places, shares);
}

}  // namespace cohort::cuda
