// A model folder sampled on the data of a config and scored, without training: `cohort eval`, and the stages of a pipeline.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "comm/watchdog.h"
#include "model/exec.h"
#include "trainer/config.h"
#include "trainer/evaluate.h"

namespace cohort {

// Which of the config's data, and how: the keys of evaluation on data.eval, or rollout.num_generations completions of each prompt of
// data.train as a training step draws them.
enum class SampledData { eval, train };

// On rank 0 alone, but for the first; each may be empty.
struct SampleCallbacks {
  std::function<void(const Dataset& data)> accept;  // on all ranks, before anything is sampled: what it throws ends all of them
  std::function<void(const std::string& what, int64_t done, int64_t total)> progress;
  std::function<void(const EvalResult& result, const Dataset& data, const DataPart& part, size_t i)> completion;  // one of result's
  std::function<void(const std::string& text)> warning;  // scores that are missing
};

// What came of each set; without completions. Called by all ranks; the result does not depend on their number. Each set may take as long as
// sampling and scoring of a training step. `base`: of a model that is a LoRA adapter (load_model). Exit code 2 for a config without such data or with model.init, 4 where no completion of a set
// could be scored.
std::vector<EvalResult> sample_model(const Config& config, SampledData which, Comm& comm, Watchdog& watchdog, const SampleCallbacks& callbacks,
                                     const Exec& ex, const std::string& base = {});

}  // namespace cohort
