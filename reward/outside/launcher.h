// The process that starts the programs of the reward `command`. It is forked before MPI starts, as the nursery is and for the
// same reason (reward/code/nursery.h). Unlike the nursery it keeps environment, working folder and user: these programs are
// the user's own, and trusted.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "reward/code/fd.h"

namespace cohort {

// The other ends of what a program is talked to by.
struct ProgramEnds {
  Fd input, output, error;  // its descriptors 0, 1 and 2
  Fd control;               // its supervisor's (supervisor.h)
};

// The parent's side. Thread-safe. It ends when this is destroyed or this process dies; so do the programs, each when the
// near end of its control socket is closed.
class Launcher {
 public:
  // Forks. The process must have one thread, and MPI must not have started. Throws (exit code 6) where the system refuses.
  Launcher();
  ~Launcher();
  Launcher(const Launcher&) = delete;

  // Starts `command` (command[0] is found by PATH) with a supervisor of its own, which tells by the control socket what
  // becomes of it. False when the launcher is dead or takes no order for 10 s. `command` takes at most kMaxCommand bytes, zeros at the ends included.
  bool start(const std::vector<std::string>& command, const ProgramEnds& ends);
  static constexpr size_t kMaxCommand = 64 << 10;

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  Fd socket_;
};

// The process's one launcher; as for the nursery, the moment to fork is long before the config is read. The second call and
// later ones do nothing.
void start_launcher();
// The process's launcher, or null. Where none was started and the process has a single thread, it is started now.
Launcher* find_launcher();

}  // namespace cohort
