// The seam to NCCL: implemented by comm/nccl.cpp, or by no_nccl.cpp where the build has none.
#pragma once

#include <memory>

#include "comm/comm.h"

namespace cohort {

// Collectives on device memory, bootstrapped through `host`. Throws (exit code 2) where the build
// has no NCCL.
std::unique_ptr<Comm> make_nccl_comm(Comm& host);

}  // namespace cohort
