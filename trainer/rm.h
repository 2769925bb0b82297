// cohort rm: a reward model from pairs of answers, the better one scored higher (docs/reward-models.md).
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

// examples: pairs.
struct RmSummary : RowSummary {
  std::optional<double> eval_accuracy_before, eval_accuracy_after, eval_loss_before, eval_loss_after;  // of data.eval, when there is one
};

class RmRun;
// The next step of a run, whole. Called by all ranks.
void rm_step(RmRun& run);

// `config`: read with ConfigUse::rm. `signals`: asks to save and stop.
RmSummary rm(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex);

}  // namespace cohort
