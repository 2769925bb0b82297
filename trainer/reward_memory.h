// What rewards that are models take of a rank's memory (memory_plan.h).
#pragma once

#include <vector>

#include "trainer/memory_plan.h"

namespace cohort {

// Weights, once for all rewards of one folder and dtype, and activations of a forward pass. Reads config.json and the headers of the
// weights alone; exit code 3 for a folder that has none.
std::vector<MemoryPiece> reward_memory(const Config& config);

}  // namespace cohort
