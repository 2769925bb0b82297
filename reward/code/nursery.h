// The process that makes the processes which run programs. It is forked before MPI starts, because a process with MPI,
// threads or a GPU must not fork; it stays single-threaded, has no environment and no descriptors but a socket, and
// does nothing but fork workers.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <optional>

#include "core/clock.h"
#include "reward/code/fd.h"

namespace cohort {

// A process that runs one request after the other (worker.h). It ends when its socket is closed.
struct WorkerHandle {
  pid_t pid = -1;
  Fd socket;
};

// The parent's side. Thread-safe. The nursery and everything below it ends when this is destroyed or this process dies.
class Nursery {
 public:
  // Forks. The process must have one thread, and MPI must not have started. Throws (exit code 6) where the system
  // refuses.
  Nursery();
  ~Nursery();
  Nursery(const Nursery&) = delete;

  // Nothing when the nursery is dead or does not answer in time; it stays so.
  std::optional<WorkerHandle> make_worker(Clock::time_point deadline);
  // For a worker that does not answer.
  void kill_worker(pid_t worker);
  pid_t pid() const { return pid_; }
  bool dead() const;  // as make_worker found it

 private:
  mutable std::mutex mutex_;
  pid_t pid_ = -1;
  Fd socket_;
};

// A reward is made from its options alone, and the moment to fork is long before: the process's one nursery waits in
// between. The second call and later ones do nothing.
void start_nursery();
// Then it may fork.
bool has_one_thread();
// The process's nursery, or null. Where none was started and the process has a single thread, it is started now.
Nursery* find_nursery();

}  // namespace cohort
