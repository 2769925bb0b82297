// cohort train: Group Relative Policy Optimization (Shao et al. 2024, DeepSeekMath) and relatives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "comm/comm.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "model/exec.h"
#include "trainer/config.h"
#include "trainer/train_observer.h"

namespace cohort {

struct TrainSummary {
  std::optional<double> accuracy_before, accuracy_after_warm_start, accuracy_after;  // of data.eval, when there is one
  int64_t steps = 0;           // the last step done
  double seconds = 0;
  bool stopped_early = false;  // save-and-stop was requested: exit code 75
  std::filesystem::path run_dir, final_model;
};

class TrainRun;
// The next step of a run, whole. Called by all ranks.
void train_step(TrainRun& run);

// `signals`: asks to save and stop.
TrainSummary train(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer,
                   const Exec& ex);

}  // namespace cohort
