// cohort sft: trainer/sft.h, and its plan.
#include "trainer/sft.h"

#include "cli/json_progress.h"
#include "cli/training.h"
#include "trainer/memory_plan.h"

namespace cohort {
namespace {

int dry_run(const Config& config, Comm& comm) { return print_plan_of_rows(config, comm, sft_memory); }

TrainingEnd run(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex) {
  const SftSummary summary = sft(config, comm, watchdog, signals, observer, ex);
  return {summary_text(summary, config.log.format), summary.stopped_early};
}

}  // namespace

Action add_sft(App& app) { return add_training(app, {"sft", ConfigUse::sft, dry_run, run}); }

}  // namespace cohort
