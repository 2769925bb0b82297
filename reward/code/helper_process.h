// A process that is forked before MPI and threads start, because a process with MPI, threads or a GPU must not fork, and that starts
// other processes for this one: the nursery (nursery.h) and the launcher (reward/outside/launcher.h).
#pragma once

#include <sys/types.h>

#include "core/fd.h"

namespace cohort {

// The parent's side. The helper ends when this is destroyed or this process dies.
class HelperProcess {
 public:
  // Forks; the process must have one thread. The helper gets a session of its own, so that no signal that is meant for the run reaches it,
  // may run wherever the process may (core/unpin.h), and has /dev/null as its descriptors 0 to 2, the other end of socket() as kSocket, and
  // no others. It ignores the signals by which runs are asked to end. It then calls `serve`, and ends. Throws (exit code 6) where the
  // system refuses.
  explicit HelperProcess(void (*serve)());
  ~HelperProcess();  // waits for it
  HelperProcess(const HelperProcess&) = delete;

  static constexpr int kSocket = 3;  // of the helper, SOCK_SEQPACKET

  pid_t pid() const { return pid_; }
  const Fd& socket() const { return socket_; }
  void hang_up() { socket_.reset(); }  // it then ends

 private:
  pid_t pid_ = -1;
  Fd socket_;
};

// Then it may fork.
bool has_one_thread();

}  // namespace cohort
