// Memory that is kept back, so that running out of the rest can be told.
#pragma once

namespace cohort {

// Called once, before anything else. libstdc++ ends a program that has no memory for an exception without saying why; from now on, an
// allocation by `new` that fails gives a reserve back and throws std::bad_alloc. Where there is not even memory for static objects and
// the reserve, it says so and ends the process with exit code 6.
void reserve_memory();

}  // namespace cohort
