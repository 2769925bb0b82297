// Warm start: a few steps of supervised fine-tuning on the training problems' own solutions, so that GRPO finds completions
// to reinforce. For built-in tasks, whose problems carry solutions.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "comm/comm.h"
#include "trainer/config.h"
#include "trainer/dataset.h"
#include "trainer/model_setup.h"

namespace cohort {

class DeviceComm;

// Mean negative log-likelihood over the tokens of solution + `stop_token`, config.trainer.warm_start->steps AdamW steps, learning
// rate warmed up over a tenth of them and then lowered by a cosine. progress(done, total) after each step. `rounded`: the
// policy's weights are roundings of what the checkpoint stores (weights_are_rounded); then the float32 master weights are
// returned, else nothing. `gpus`: as Optimizer has it.
std::vector<float> warm_start(LoadedModel& model, const Dataset& train, int32_t stop_token, bool rounded,
                              const Config& config, Comm& comm, DeviceComm* gpus, const Exec& ex,
                              const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace cohort
