// Who descends from a process, as /proc tells it.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

namespace cohort {

// Everything below `root` that is alive, but for `except` and what is below those. Nothing where /proc is not there to be read.
std::vector<pid_t> descendants(pid_t root, std::span<const pid_t> except = {});

// By a signal (SIGSTOP) or a debugger.
bool is_stopped(pid_t pid);

}  // namespace cohort
