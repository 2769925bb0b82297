// Threads and processes that must not keep the place of the thread that starts them.
#pragma once

namespace cohort {

// From now on the calling thread may run wherever this process might when it began: what mpirun, srun, taskset and the container
// allow, whatever ThreadPool::pin did to the thread that started it. Where the system refuses, all stays as it is.
void unpin_thread();

}  // namespace cohort
