// A process that runs requests, one at a time: it reads a request from its socket, runs it in the sandbox and answers.
#pragma once

#include <sys/types.h>

#include "reward/code/control_group.h"

namespace cohort {

// Gives up root, if it has it, for a user that no one else on the host is, and serves until the socket is closed.
// A request with the command {kExamineCommand} is answered with what the machine offers, in `out` (means.h). Runs get control groups in
// `place`, where that works.
[[noreturn]] void run_worker(int socket, pid_t parent, const GroupPlace& place);

constexpr const char* kExamineCommand = "<examine>";

}  // namespace cohort
