// CUDA status codes as errors with cohort's exit codes.
#pragma once

#include <array>
#include <cstddef>

namespace cohort::cuda {

// Throws Error unless `status`, a cudaError_t, is success. `what` says what was being done: "cannot WHAT: NAME (...)".
// Exit codes: 6 out of device memory, 2 no usable device or driver, 1 else.
void check_status(int status, const char* what);

// The same of a cublasStatus_t.
void check_cublas(int status, const char* what);

// For a launch that was refused: names the kernel, its grid, block and dynamic shared memory. Exit codes as above.
[[noreturn]] void throw_launch_error(int status, const void* function, std::array<unsigned, 3> grid,
                                     std::array<unsigned, 3> block, size_t shared_bytes);

}  // namespace cohort::cuda
