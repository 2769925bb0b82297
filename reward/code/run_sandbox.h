// Runs a request to its end: feeds, listens, measures, ends it in time, and says how it ended.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "reward/code/control_group.h"
#include "reward/code/sandbox.h"

namespace cohort {

// Returns when all processes of the request are dead, at most limits.seconds (and a moment) after the start, whatever
// the programs do. For a single-threaded process that is not root. `client`: when this socket's other side is gone the
// run is cut short; -1: there is none. `group`: in which each program gets a control group; null: it gets none. Errors of the machine are
// in the result.
SandboxResult run_sandbox(const SandboxRequest& request, const std::vector<sock_filter>& filter, int client, const WorkerGroup* group);

}  // namespace cohort
