// CHECK_MPI: the member of the CHECK family for MPI's return codes. Cohort sets MPI_ERRORS_RETURN,
// so nothing else sees them.
#pragma once

#include <mpi.h>

namespace cohort {

// Throws (exit code 4) with MPI's text for `code`, which the call `call` returned.
[[noreturn]] void mpi_failed(int code, const char* call);

}  // namespace cohort

#define CHECK_MPI(call)                                              \
  do {                                                               \
    if (const int code_ = (call); code_ != MPI_SUCCESS) [[unlikely]] \
      ::cohort::mpi_failed(code_, #call);                            \
  } while (false)
