// launch(kernel, grid, block, shared bytes, stream, arguments...): the only way to start a kernel.
//
// Arguments are converted to the kernel's parameter types and copied, as <<<>>> does. A refused launch throws Error
// (status.h) that names the kernel and its configuration; a fault while the kernel runs shows at the next call that
// waits for the stream.
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "model/cuda/platform/platform.cuh"
#include "model/cuda/platform/status.h"

namespace cohort::cuda {

// What a block may have without asking for more (CUDA C++ Programming Guide, "Shared memory" of each capability).
constexpr size_t kSharedWithoutAsking = 48 * 1024;

template <typename... Params, typename... Args>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            Args&&... args) {
  static_assert(sizeof...(Params) == sizeof...(Args), "a kernel's arguments");
  const void* function = reinterpret_cast<const void*>(kernel);
  cudaError_t status = cudaSuccess;
  if (shared_bytes > kSharedWithoutAsking) {
    status = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(shared_bytes));
  }
  if (status == cudaSuccess) {
#ifdef GPU_EMULATED
    status = emulated::enqueue_kernel(
        function, [kernel, params = std::tuple<Params...>(std::forward<Args>(args)...)] { std::apply(kernel, params); },
        grid, block, shared_bytes, stream);
#else
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    status = cudaLaunchKernelEx(&config, kernel, static_cast<Params>(std::forward<Args>(args))...);
#endif
  }
  if (status != cudaSuccess) {
    (void)cudaGetLastError();  // the runtime keeps a refused launch for the next caller too
    throw_launch_error(status, function, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared_bytes);
  }
}

}  // namespace cohort::cuda
