// What nvcc would have supplied to a kernel: thread indices, shared memory, barriers, shuffles and votes. Included by
// platform.cuh under emulation, after the toolkit's headers, which supply types, bf16 arithmetic and prototypes.
#pragma once

#ifdef __CUDACC__
#error "the emulator is for the host compiler"
#endif

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "device_math.h"

// The toolkit's headers make it nothing on the host, so that each thread would silently have its own.
#undef __shared__
#define __shared__ _Pragma("GCC error \"say GPU_SHARED(type, name, [dims]) or GPU_DYNAMIC_SHARED(name)\"")
#undef __launch_bounds__
#define __launch_bounds__(...)

namespace emulated {

// The running thread of the block, and its block: one block runs at a time in a process.
struct ThreadPlace {
  uint3 index;
  unsigned lane, warp;
};
struct BlockPlace {
  uint3 index;
  dim3 block_size, grid_size;
};
extern ThreadPlace* current_thread;
extern BlockPlace current_block;

// All lanes of `mask` meet; the last one to arrive runs `compute` over everybody's arguments, which lie on the stacks of
// the waiting ones, and writes everybody's results: one switch a lane. Memory is in order before and after it only with
// `orders_memory`, __syncwarp: a shuffle or ldmatrix is no barrier.
using Collective = void (*)(void** lanes, unsigned mask);
void warp_collective(unsigned mask, Collective compute, void* argument, const char* what, const char* file, int line,
                     bool orders_memory = false);
void block_barrier(const char* file, int line);
// Static shared memory by the address of a key of its own in the source; dynamic shared memory of the launch.
void* static_shared(const void* key, size_t bytes, size_t align, const char* file, int line);
unsigned char* dynamic_shared();

// Puts the kernel, one call of `thread_body` a thread, on the stream. What cudaLaunchKernel would answer.
cudaError_t enqueue_kernel(const void* function, std::function<void()> thread_body, dim3 grid, dim3 block,
                           size_t shared_bytes, cudaStream_t stream);

// A fault of the kernel: prints it with block and thread, and aborts the process.
[[noreturn]] void kernel_fault(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace emulated

#define threadIdx (::emulated::current_thread->index)
#define blockIdx (::emulated::current_block.index)
#define blockDim (::emulated::current_block.block_size)
#define gridDim (::emulated::current_block.grid_size)

#define GPU_SHARED(type, name, dims)                                                                      \
  using name##_shared_type = type dims;                                                                   \
  static char name##_shared_key;                                                                          \
  auto& name = *static_cast<name##_shared_type*>(::emulated::static_shared(                               \
      &name##_shared_key, sizeof(name##_shared_type), alignof(name##_shared_type), __FILE__, __LINE__))
#define GPU_DYNAMIC_SHARED(name) unsigned char* name = ::emulated::dynamic_shared()

// Where a collective was called, for reports.
#define EMULATED_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(EMULATED_PLACE) { ::emulated::block_barrier(file, line); }

namespace emulated {

template <typename T>
struct ShuffleLane {
  T value, result;
  unsigned source;
};
template <typename T>
void compute_shuffle(void** lanes, unsigned mask) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    auto* mine = static_cast<ShuffleLane<T>*>(lanes[lane]);
    if ((mask >> mine->source & 1) == 0)
      kernel_fault("a shuffle: lane %u reads lane %u, which is not in mask %08x", lane, mine->source, mask);
    mine->result = static_cast<ShuffleLane<T>*>(lanes[mine->source])->value;
  }
}
template <typename T>
T shuffle(unsigned mask, T value, unsigned source, const char* what, const char* file, int line) {
  static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8, "what a shuffle can carry");
  ShuffleLane<T> lane{value, value, source};
  warp_collective(mask, &compute_shuffle<T>, &lane, what, file, line);
  return lane.result;
}
// The first lane of this lane's segment of `width` lanes.
inline unsigned segment_of(unsigned lane, int width) { return lane & ~(static_cast<unsigned>(width) - 1); }

struct VoteLane {
  bool vote;
  unsigned ballot;
};
inline void compute_vote(void** lanes, unsigned mask) {
  unsigned ballot = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) ballot |= static_cast<unsigned>(static_cast<VoteLane*>(lanes[lane])->vote) << lane;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) static_cast<VoteLane*>(lanes[lane])->ballot = ballot;
}
inline void compute_nothing(void**, unsigned) {}

}  // namespace emulated

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, EMULATED_PLACE) {
  const unsigned first = ::emulated::segment_of(::emulated::current_thread->lane, width);
  const unsigned from = first | (static_cast<unsigned>(source) & (static_cast<unsigned>(width) - 1));
  return ::emulated::shuffle(mask, value, from, "__shfl_sync", file, line);
}
// The next three leave a lane its own value where the source would be outside its segment.
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32, EMULATED_PLACE) {
  const unsigned lane = ::emulated::current_thread->lane, from = lane ^ static_cast<unsigned>(flip);
  const bool outside = from >= ::emulated::segment_of(lane, width) + static_cast<unsigned>(width);
  return ::emulated::shuffle(mask, value, outside ? lane : from, "__shfl_xor_sync", file, line);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, EMULATED_PLACE) {
  const unsigned lane = ::emulated::current_thread->lane, from = lane + by;
  const bool outside = from >= ::emulated::segment_of(lane, width) + static_cast<unsigned>(width);
  return ::emulated::shuffle(mask, value, outside ? lane : from, "__shfl_down_sync", file, line);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, EMULATED_PLACE) {
  const unsigned lane = ::emulated::current_thread->lane;
  const bool outside = lane < ::emulated::segment_of(lane, width) + by;
  return ::emulated::shuffle(mask, value, outside ? lane : lane - by, "__shfl_up_sync", file, line);
}

inline unsigned __ballot_sync(unsigned mask, int vote, EMULATED_PLACE) {
  ::emulated::VoteLane lane{vote != 0, 0};
  ::emulated::warp_collective(mask, &::emulated::compute_vote, &lane, "__ballot_sync", file, line);
  return lane.ballot;
}
inline int __any_sync(unsigned mask, int vote, EMULATED_PLACE) { return __ballot_sync(mask, vote, file, line) != 0; }
inline int __all_sync(unsigned mask, int vote, EMULATED_PLACE) {
  return __ballot_sync(mask, vote == 0, file, line) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATED_PLACE) {
  char nothing;
  ::emulated::warp_collective(mask, &::emulated::compute_nothing, &nothing, "__syncwarp", file, line, true);
}
