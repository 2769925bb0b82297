// cohort sft: supervised fine-tuning, the negative log-likelihood of what the assistant says (docs/sft.md).
#pragma once

#include <optional>

#include "comm/comm.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "model/exec.h"
#include "trainer/config.h"
#include "trainer/row_run.h"
#include "trainer/train_observer.h"

namespace cohort {

struct SftSummary : RowSummary {
  std::optional<double> eval_loss_before, eval_loss_after;  // of data.eval, when there is one
};

class SftRun;
// The next step of a run, whole. Called by all ranks.
void sft_step(SftRun& run);

// `config`: read with ConfigUse::sft. `signals`: asks to save and stop.
SftSummary sft(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex);

}  // namespace cohort
