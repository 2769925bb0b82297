// The memory of a train run by what it is doing: for `train --dry-run` and `plan`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/memory_plan.h"

namespace cohort {

struct RunMemory {
  CacheSize cache;
  TapeSize tape;
  std::vector<MemoryPiece> warm_start;  // before the first step, with nothing of the rest
  std::vector<MemoryPiece> step;        // lives until the run ends
  std::vector<MemoryPiece> checkpoint, evaluation, finish;  // beside it; the first two perhaps at once
  uint64_t most() const;
};

// free_bytes: for this rank before it starts; nothing: any amount. The run itself chooses cache and tape by the same rule
// when it has loaded, with prompts as long as they are.
RunMemory plan_memory(const TrainingPlan& plan, std::optional<int64_t> free_bytes);

// A line a piece; "together, in a step", and what the other phases come to; "at most".
std::string memory_table(const RunMemory& memory);

}  // namespace cohort
