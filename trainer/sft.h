// cohort sft: supervised fine-tuning, the negative log-likelihood of what the assistant says (docs/sft.md).
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

struct SftSummary {
  std::optional<double> eval_loss_before, eval_loss_after;  // of data.eval, when there is one
  int64_t examples = 0, filtered = 0;  // of the training data; too long ones
  int64_t steps = 0;                   // the last step done
  double seconds = 0;
  bool stopped_early = false;          // save-and-stop was requested: exit code 75
  std::filesystem::path run_dir, final_model;
};

class SftRun;
// The next step of a run, whole. Called by all ranks.
void sft_step(SftRun& run);

// `config`: read with ConfigUse::sft. `signals`: asks to save and stop.
SftSummary sft(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex);

}  // namespace cohort
