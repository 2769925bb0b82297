// CUDA status codes as errors (status.h).
#include "model/cuda/platform/status.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "core/check.h"

namespace cohort::cuda {
namespace {

ExitCode exit_code_of(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return ExitCode::kResources;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInsufficientDriver:
      return ExitCode::kUsage;
    default:
      return ExitCode::kInternal;
  }
}

const char* remedy_of(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "; the device's memory is used up: take smaller batches, or look at `cohort plan`";
    case cudaErrorNoDevice:
      return "; this machine shows no GPU to the program: look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use run.device: cpu";
    case cudaErrorInvalidDevice:
      return "; there are fewer GPUs than asked for: start as many ranks a node as it has GPUs";
    case cudaErrorInsufficientDriver:
      return "; the NVIDIA driver is older than this program's CUDA runtime: update the driver, or use run.device: cpu";
    default:
      return "";
  }
}

}  // namespace

void check_status(int status, const char* what) {
  const cudaError_t code = static_cast<cudaError_t>(status);
  if (code == cudaSuccess) return;
  fail(exit_code_of(code), "cannot {}: {} ({}){}", what, cudaGetErrorName(code), cudaGetErrorString(code),
       remedy_of(code));
}

void check_cublas(int status, const char* what) {
  const cublasStatus_t code = static_cast<cublasStatus_t>(status);
  if (code == CUBLAS_STATUS_SUCCESS) return;
  const bool memory = code == CUBLAS_STATUS_ALLOC_FAILED, start = code == CUBLAS_STATUS_NOT_INITIALIZED;
  // What a kernel did before shows in whatever is called next; the library's word for it says nothing.
  const cudaError_t before = cudaPeekAtLastError();
  if (code == CUBLAS_STATUS_EXECUTION_FAILED && before != cudaSuccess)
    fail(exit_code_of(before), "cannot {}: {} ({}){}", what, cudaGetErrorName(before), cudaGetErrorString(before), remedy_of(before));
  fail(memory ? ExitCode::kResources : start ? ExitCode::kUsage : ExitCode::kInternal, "cannot {}: {}{}", what,
       cublasLtGetStatusString(code),
       memory  ? "; memory is used up: take smaller batches, or look at `cohort plan`"
       : start ? "; cuBLASLt finds no device or driver that it can use: look at nvidia-smi, or use run.device: cpu"
               : "");
}

void throw_launch_error(int status, const void* function, std::array<unsigned, 3> grid, std::array<unsigned, 3> block,
                        size_t shared_bytes) {
  const cudaError_t code = static_cast<cudaError_t>(status);
  const char* name = nullptr;
  if (cudaFuncGetName(&name, function) != cudaSuccess || name == nullptr) name = "of unknown name";
  fail(exit_code_of(code),
       "cannot launch kernel {}: {} ({}); grid ({}, {}, {}), block ({}, {}, {}), {} bytes of dynamic shared memory{}",
       name, cudaGetErrorName(code), cudaGetErrorString(code), grid[0], grid[1], grid[2], block[0], block[1], block[2],
       shared_bytes, remedy_of(code));
}

}  // namespace cohort::cuda
