// cohort train: Group Relative Policy Optimization (Shao et al. 2024, DeepSeekMath) and relatives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "model/exec.h"
#include "trainer/config.h"
#include "trainer/evaluate.h"
#include "trainer/train_observer.h"

namespace cohort {

// What an evaluation of the run found.
struct EvalStage {
  std::string name;  // "before", "after warm start", "after GRPO"
  std::vector<EvalMetric> metrics;
};

struct TrainSummary {
  std::optional<double> accuracy_before, accuracy_after_warm_start, accuracy_after;  // of data.eval, when there is one; of several sets the mean
  std::vector<EvalStage> evaluations;
  std::optional<int64_t> best_step;  // with trainer.metric_for_best_model
  int64_t steps = 0;           // the last step done
  double seconds = 0;
  bool stopped_early = false;  // save-and-stop was requested: exit code 75
  std::filesystem::path run_dir, final_model, best_model;
};

class TrainRun;
// The next step of a run, whole. Called by all ranks.
void train_step(TrainRun& run);

// `signals`: asks to save and stop.
TrainSummary train(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer,
                   const Exec& ex);

}  // namespace cohort
