// The time of a training step, predicted from shapes and speeds: bounds by arithmetic, memory and links, divided by the share
// of them that cohort reaches (bench/results.md).
#pragma once

#include <cstdint>

#include "cli/plan_speed.h"
#include "trainer/memory_plan.h"
#include "trainer/traffic.h"

namespace cohort {

struct StepShape {
  int64_t prompt_length = 1, completion_length = 1;  // tokens, on average
  bool reused = false;                               // the update needs no forward pass through the layers
};

struct StepTime {
  double prefill_s = 0, decode_s = 0, update_s = 0, optimizer_s = 0, comm_s = 0;
  double total() const { return prefill_s + decode_s + update_s + optimizer_s + comm_s; }
};

// Of the rank that has most to do; rewards and evaluations are not in it. ranks_per_host: which share a machine of `speed`.
StepTime predict_step(const TrainingPlan& plan, const StepShape& shape, const RankTraffic& traffic, const MachineSpeed& speed,
                      int ranks_per_host);

}  // namespace cohort
