// After an optimizer step every rank has the new weights of its own span: all ranks get those of all (the all-gather of ZeRO-1).
#pragma once

#include <cstdint>
#include <span>

#include "comm/comm.h"
#include "model/exec.h"
#include "model/policy.h"

namespace cohort {

// Called by all ranks; `owned`: the span of each, the same on all. What cannot be sent as it lies goes through a buffer of `exchange` elements of each
// rank; that bounds memory and changes no bit. Weights on the CPU.
void gather_weights(WeightStore& store, std::span<const ParamSpan> owned, Comm& comm, int64_t exchange, const Exec& ex);

}  // namespace cohort
