// Starting and ending MPI within a deadline, and quickly where all ranks share a host.
#pragma once

#include <chrono>

namespace cohort {

// MPI_Init_thread, funneled. Where it does not return within `limit` it ends the process (exit code
// 4, with a line on standard error), because there is no Comm yet that could tell the other ranks.
void start_mpi(std::chrono::milliseconds limit);

// MPI_Finalize, with a limit of the same kind. All ranks call it.
void finish_mpi(std::chrono::milliseconds limit);

// MPI_Abort(exit_code) on all ranks; ends this process by itself if MPI does not do it within 10 s.
// Any thread.
[[noreturn]] void abort_mpi(int exit_code);

}  // namespace cohort
