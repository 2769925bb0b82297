// What a kernel may use of its compiler: nvcc, or a host compiler over the emulator of tests/emulated (docs/gpu.md).
// This file, launch.cuh and ptx.cuh are the only ones that know which of the two is reading.
//
// GPU_SHARED(type, name, [dims]): static shared memory of the block.     GPU_SHARED(float, sums, [kThreads / 32]);
// GPU_DYNAMIC_SHARED(name): the launch's dynamic shared memory, as bytes aligned to 128.
// Plain __shared__ is an error under emulation: there the toolkit's headers make it nothing, silently one copy a thread.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

#ifdef GPU_EMULATED
#include <emulator/device.h>
#else
#define GPU_SHARED(type, name, dims) __shared__ type name dims
#define GPU_DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#endif

namespace cohort::cuda {

constexpr unsigned kWholeWarp = 0xffffffffu;

}  // namespace cohort::cuda
