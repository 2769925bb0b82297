// Starts one program in namespaces of its own.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <vector>

#include "core/fd.h"
#include "reward/code/sandbox.h"

namespace cohort {

// What the program gets as descriptors 0 to 4; `link` and `report` may be absent.
struct ProgramFds {
  int input, output, error, link = -1, report = -1;
};

// A tree of processes in a pid namespace. Its first process, the init, is ours: it starts the program, reaps, and ends
// when the program ends; the kernel then kills whatever is left of the tree before the init can be waited for. Killing
// the init does the same.
struct Tree {
  pid_t init = -1;
  Fd pidfd;   // readable when the whole tree is dead
  Fd status;  // how the program ended (read_status) or why it never began
  Fd work;    // the folder /box, if `take` names anything; outlives the tree
};

// The namespaces that a tree gets, all at once.
int sandbox_namespaces();

// The calling process must be single-threaded and must not be root. Throws (exit code 1) where the system refuses a
// process. What goes wrong behind that is told by `status`; but a command in /box that cannot be executed is a program
// that ends with code 126. `group`: the control group that the tree is born in; -1: the caller's.
Tree spawn(const SandboxProgram& program, const ProgramFds& fds, const std::vector<sock_filter>& filter, int group);

struct Ending {
  bool began = false;  // the program was executed
  bool known = false;  // status and cpu_seconds are there: it was not killed from outside
  int status = 0;      // as waitpid gives it
  double cpu_seconds = 0;
  std::string error;  // why it did not begin
};
// For a tree that is dead.
Ending read_status(const Fd& status);

// What a program does in place of a command, to see what the sandbox lets it do (self_test.cpp):
// SandboxProgram::command is {kProbeCommand}.
constexpr const char* kProbeCommand = "<probe>";
[[noreturn]] void run_probes();

}  // namespace cohort
