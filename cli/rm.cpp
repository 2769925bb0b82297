// cohort rm: trainer/rm.h, and its plan.
#include "trainer/rm.h"

#include "cli/json_progress.h"
#include "cli/training.h"
#include "trainer/memory_plan.h"

namespace cohort {
namespace {

int dry_run(const Config& config, Comm& comm) { return print_plan_of_rows(config, comm, rm_memory); }

TrainingEnd run(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex) {
  const RmSummary summary = rm(config, comm, watchdog, signals, observer, ex);
  return {summary_text(summary, config.log.format), summary.stopped_early};
}

}  // namespace

Action add_rm(App& app) { return add_training(app, {"rm", ConfigUse::rm, dry_run, run}); }

}  // namespace cohort
