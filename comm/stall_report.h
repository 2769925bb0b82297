// What a rank that does not go on is doing, thread by thread.
#pragma once

#include <sys/types.h>

#include <string>

#include "comm/last_seen.h"

namespace cohort {

// Lines for standard error, the first of which begins with "stall report: WHO": section, step and collective, then of each thread
// of `process` (but the calling one) its state and stack; a thread that does not run does not tell its stack, but where in the
// kernel it waits. Takes half a second at most.
std::string stall_report(const std::string& who, pid_t process, LastSeen& seen);

// The letter of FOLDER/stat, where FOLDER is of a process or of a thread in /proc: 'R' running, 'T' stopped, ...; '?' where it
// cannot be read.
char state_of(const std::string& folder);

}  // namespace cohort
