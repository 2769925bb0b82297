// Threads that serve a run beside its computing ones (writing checkpoints, waiting for checkers). What a pinned thread starts inherits
// its one core, where the two would be in each other's way.
#pragma once

namespace cohort {

// The calling thread may from now on run wherever any thread of this process may. To be called first thing in a service thread; in a
// process whose threads are not pinned it changes nothing.
void leave_pinned_core();

}  // namespace cohort
