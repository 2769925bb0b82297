// Refuses to start on a processor that lacks what the kernels were compiled for: one clear line in
// place of SIGILL.
#pragma once

namespace cohort {

// Throws (exit code 2) naming the missing instruction sets.
void check_cpu();

}  // namespace cohort
