// Starting and ending MPI within a deadline, and quickly where all ranks share a host.
#pragma once

namespace cohort {

// MPI_Init_thread, funneled. Ends the process (exit code 4, with a line on standard error) when the other ranks do not come
// within 10 minutes: there is no Comm yet that could tell them.
void start_mpi();

// MPI_Finalize, with the same limit. All ranks call it.
void finish_mpi();

// MPI_Abort(exit_code) on all ranks; ends this process by itself if MPI does not do it within 10 s. Any thread.
[[noreturn]] void abort_mpi(int exit_code);

}  // namespace cohort
