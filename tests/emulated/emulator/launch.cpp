// Kernel launches: what the runtime checks, and what a launch that faults does.
#include "block.h"
#include "device.h"
#include "graph.h"
#include "memory.h"
#include "state.h"
#include "streams.h"

#include <map>

namespace emulated {
namespace {

constexpr size_t kSharedWithoutAsking = 48 * 1024, kSharedMost = 227 * 1024;  // as on sm_90

// Dynamic shared memory that kernels have asked for.
auto& shared_asked = *new std::map<const void*, size_t>;

// Limits of the CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
cudaError_t check_configuration(const void* function, dim3 grid, dim3 block_size, size_t shared_bytes) {
  const size_t threads = size_t{block_size.x} * block_size.y * block_size.z;
  if (threads == 0 || threads > 1024 || block_size.z > 64) return cudaErrorInvalidConfiguration;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535)
    return cudaErrorInvalidConfiguration;
  const auto asked = shared_asked.find(function);
  return shared_bytes > (asked == shared_asked.end() ? kSharedWithoutAsking : asked->second) ? cudaErrorInvalidValue
                                                                                            : cudaSuccess;
}

}  // namespace

cudaError_t enqueue_kernel(const void* function, std::function<void()> thread_body, dim3 grid, dim3 block_size,
                           size_t shared_bytes, cudaStream_t given) {
  return entry([&]() -> cudaError_t {
    CUstream_st* stream = stream_of(given);
    if (const cudaError_t error = forbidden_null_stream(stream, given)) return error;
    if (const cudaError_t error = check_configuration(function, grid, block_size, shared_bytes)) return error;
    // One that is recorded is launched whenever its graph is.
    const auto fails = [] { return is_fault(launch_count, current_settings().fail_launch); };
    const bool recorded = stream->capture != nullptr, faulty = !recorded && fails();
    Work work;
    work.kind = WorkKind::kernel;
    work.function = function;
    work.run = [=, body = std::move(thread_body)] {
      if (recorded ? fails() : faulty) {
        break_device(cudaErrorLaunchFailure);
      } else {
        run_grid(kernel_name(function), body, grid, block_size, shared_bytes);
      }
      return true;
    };
    return push(stream, std::move(work));
  });
}

}  // namespace emulated

using namespace emulated;

extern "C" {

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  return entry([&] {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
        static_cast<size_t>(value) > kSharedMost)
      return cudaErrorInvalidValue;
    shared_asked[function] = static_cast<size_t>(value);
    return cudaSuccess;
  });
}

cudaError_t cudaFuncGetName(const char** name, const void* function) {
  const std::lock_guard lock(runtime_mutex());  // also for a report about a device that is broken
  *name = kernel_name(function);
  return cudaSuccess;
}
}
