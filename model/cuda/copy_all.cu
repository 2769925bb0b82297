// Many copies on the device in one launch (copy_all.h): a block has some KB of one of them.
#include "model/cuda/copy_all.h"

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 128;
constexpr int kBytes = kThreads * 16 * 4;  // of a block

// Numbers [begin, end) in pieces of T.
template <typename T>
__device__ __forceinline__ void copy_bytes(char* to, const char* from, int64_t begin, int64_t end) {
  for (int64_t at = begin + threadIdx.x * int64_t{sizeof(T)}; at < end; at += kThreads * int64_t{sizeof(T)})
    *reinterpret_cast<T*>(to + at) = *reinterpret_cast<const T*>(from + at);
}

// Block (copy, piece of it).
__global__ void __launch_bounds__(kThreads) copy_all(const gpu::Copied* __restrict__ copies) {
  const gpu::Copied copy = copies[blockIdx.x];
  const int64_t begin = static_cast<int64_t>(blockIdx.y) * kBytes, bytes = static_cast<int64_t>(copy.bytes);
  if (begin >= bytes) return;
  const int64_t end = begin + kBytes < bytes ? begin + kBytes : bytes;
  char* to = static_cast<char*>(copy.to);
  const char* from = static_cast<const char*>(copy.from);
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | copy.bytes) % 16 == 0) {
    copy_bytes<uint4>(to, from, begin, end);
  } else {
    copy_bytes<uint16_t>(to, from, begin, end);  // the smallest number that tensors have
  }
}

}  // namespace kernels

void copy_all(Tensor device_copies, int64_t count, size_t most_bytes, Stream stream) {
  check_on_device("copy_all", "the list", device_copies);
  CHECK(device_copies.bytes() == static_cast<size_t>(count) * sizeof(gpu::Copied), "copy_all: {} bytes of a list of {}", device_copies.bytes(), count);
  if (count == 0 || most_bytes == 0) return;
  launch(kernels::copy_all, dim3(static_cast<unsigned>(count), blocks_for(static_cast<int64_t>(most_bytes), kernels::kBytes)),
         kernels::kThreads, 0, stream, static_cast<const gpu::Copied*>(device_copies.data));
}

}  // namespace cohort::cuda
