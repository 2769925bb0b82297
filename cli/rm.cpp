// cohort rm: trainer/rm.h, and its plan.
#include <fmt/format.h>

#include "cli/arguments.h"
#include "cli/plan_memory.h"
#include "cli/progress.h"
#include "cli/training.h"
#include "trainer/memory_plan.h"
#include "trainer/rm.h"

namespace cohort {
namespace {

int dry_run(const Config& config, Comm& comm) {
  const ThreadPlan threads = choose_threads(config.run, comm);
  if (comm.rank() != 0) return 0;
  const ModelConfig model = planned_model(config);
  const TrainingPlan plan{.model = model, .config = config, .ranks = comm.size(), .threads = threads.threads};
  RunMemory memory{.step = rm_memory(plan), .checkpoint = checkpoint_memory(plan, {}), .finish = final_memory(plan)};
  print_plan(config, memory, comm.size());
  return 0;
}

TrainingEnd run(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex) {
  const RmSummary summary = rm(config, comm, watchdog, signals, observer, ex);
  return {summary_table(summary), summary.stopped_early};
}

}  // namespace

Action add_rm(CLI::App& app) { return add_training(app, {"rm", ConfigUse::rm, dry_run, run}); }

}  // namespace cohort
