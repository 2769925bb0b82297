// Stopping on request. Save-and-stop: SIGUSR1 (which mpirun and srun forward to every rank at once) and SIGTERM ask the
// run to save and stop at the end of its step. The handlers only set a flag; nobody is interrupted
// in the middle of anything.
#pragma once

#include <csignal>

namespace cohort {

// Installs the handlers for its lifetime and puts back what was there before; but SIGUSR1, which would end the process, is
// ignored from then on: it may still come while a process ends that has done its work. At most one at a time (exit code 1):
// signal handlers belong to the whole process.
//
// SIGUSR1 may come any number of times. The first SIGTERM gives the next one its default meaning,
// so that a second one ends a process that does not get to the end of its step. SIGINT is left
// alone: Ctrl-C ends the run as usual; but with CtrlC::asks it is treated as SIGTERM, for commands
// that a person watches and that have something to show for their time.
//
// Ranks may see a signal at different steps, or not at all (SIGTERM to one rank): combine with
// Comm::any at the step's end.
enum class CtrlC { ends, asks };

class StopSignals {
 public:
  explicit StopSignals(CtrlC ctrl_c = CtrlC::ends);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Whether SIGUSR1 or SIGTERM (or SIGINT, if it asks) came since construction. Stays true. Any thread.
  bool requested() const;

 private:
  CtrlC ctrl_c_;
  struct sigaction earlier_usr1_, earlier_term_, earlier_int_;
};

}  // namespace cohort
