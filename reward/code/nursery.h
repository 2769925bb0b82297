// The process that makes the processes which run programs: a helper (helper_process.h) that stays single-threaded, has no environment,
// and does nothing but fork workers.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <optional>

#include "core/clock.h"
#include "reward/code/helper_process.h"

namespace cohort {

// A process that runs one request after the other (worker.h). It ends when its socket is closed.
struct WorkerHandle {
  pid_t pid = -1;
  Fd socket;
};

// The parent's side. Thread-safe. The nursery and everything below it ends when this is destroyed or this process dies.
class Nursery {
 public:
  // As for HelperProcess; and MPI must not have started.
  Nursery();

  // Nothing when the nursery is dead or does not answer in time; it stays so.
  std::optional<WorkerHandle> make_worker(Clock::time_point deadline);
  // For a worker that does not answer.
  void kill_worker(pid_t worker);
  pid_t pid() const { return process_.pid(); }
  bool dead() const;  // as make_worker found it

 private:
  mutable std::mutex mutex_;
  HelperProcess process_;
};

// A reward is made from its options alone, and the moment to fork is long before: the process's one nursery waits in
// between. The second call and later ones do nothing.
void start_nursery();
// The process's nursery, or null. Where none was started and the process has a single thread, it is started now.
Nursery* find_nursery();

}  // namespace cohort
