// Stages that sample a model: completions of a config's data, scored, as rows of JSONL and as what they say together.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "comm/watchdog.h"
#include "model/exec.h"
#include "trainer/config.h"
#include "trainer/evaluate.h"
#include "trainer/train_observer.h"

namespace cohort {

// Which of the config's data, and how: the keys of evaluation on data.eval, or rollout.num_generations completions of each prompt of
// data.train as a training step draws them.
enum class SampledData { eval, train };

struct SampledModel {
  std::vector<EvalResult> results;  // of each set; without the rollouts
  std::string rows;  // on rank 0: a row of the data with "completion", "ids", "sample", "finish_reason", "reward", "rewards", a line each
};

// Called by all ranks; the result does not depend on their number. Exit code 2 for a config without such data or with model.init, 4 where
// no completion of a set could be scored.
SampledModel sample_model(const Config& config, SampledData data, Comm& comm, Watchdog& watchdog, TrainObserver& observer, const Exec& ex);

}  // namespace cohort
