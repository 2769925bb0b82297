// Supervisor: the parent of a rank, which outlives it. Whoever kills a rank, no code of the rank can say so; and mpirun reports a
// signal as exit code 128 + N, whereas a rank that failed is code 4. It also notices a rank that the system does not run any more,
// whose own watchdog stands still as well.
#pragma once

#include <sys/types.h>

#include <string>

#include "comm/last_seen.h"

namespace cohort {

// What a supervisor does about SIGUSR1 and the first SIGTERM: hands them to its rank as SIGUSR1, which asks to save and stop; or
// dies of them, with its rank.
enum class StopRequests { handed_on, end };

// SIGUSR2 makes a supervisor tell where its rank is, with the stacks of its threads (comm/stall_report.h); mpirun hands it on to all.
// Where `seen` says so, that is also told of a rank that misses its deadline, or that keeps others waiting when SIGTERM comes.

// A rank that has entered no section yet is in its start, whose deadline `seen` is given before the fork: section "", until all ranks
// have met. Where others keep it waiting past that, who they are is not known before MPI_Init is over; so each supervisor says whom
// it watches and gives the others the time to say so too: whoever does not is the one to look for.

// Forks. Returns in the child, which is the rank and keeps `seen` (of make_shared_last_seen) up to date; it dies with its parent.
// The parent does not return: it ends with the rank's exit code where the rank has given one to `seen`, else it says on standard
// error what became of `who` ("rank 3 on node07") and where, and ends with code 4. To be called before there are threads.
void start_supervised(const std::string& who, LastSeen& seen, StopRequests requests);

// Called by the rank `who` before it ends. A supervisor that was stopped (SIGSTOP) could not hear of the end, and the launcher would
// wait for it for ever: it is continued, and that is told.
void continue_supervisor(const std::string& who);

}  // namespace cohort
