// The process that starts the programs of the reward `command`: a helper (reward/code/helper_process.h), as the nursery is. Unlike
// the nursery it keeps environment, working folder and user: these programs are the user's own, and trusted.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "reward/code/helper_process.h"

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
  // As for HelperProcess; and MPI must not have started.
  Launcher();

  // Starts `command` (command[0] is found by PATH) with a supervisor of its own, which tells by the control socket what
  // becomes of it. False when the launcher is dead or takes no order for 10 s. `command` takes at most kMaxCommand bytes, zeros at the ends included.
  bool start(const std::vector<std::string>& command, const ProgramEnds& ends);
  static constexpr size_t kMaxCommand = 64 << 10;

  pid_t pid() const { return process_.pid(); }

 private:
  HelperProcess process_;
};

// The process's one launcher; as for the nursery, the moment to fork is long before the config is read. The second call and
// later ones do nothing.
void start_launcher();
// The process's launcher, or null. Where none was started and the process has a single thread, it is started now.
Launcher* find_launcher();

}  // namespace cohort
