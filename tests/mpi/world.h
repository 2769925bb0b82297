// The communicator of all ranks, which a process can make only once, and how it was made.
#pragma once

#include "comm/comm.h"

namespace cohort {

Comm& world();
int64_t max_message();  // bytes of one MPI message

}  // namespace cohort
