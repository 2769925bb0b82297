// What `cohort train`, `cohort sft` and `cohort rm` share: options, ranks, GPU, threads, watchdog, progress.
#pragma once

#include <functional>
#include <string>

#include "cli/command.h"
#include "cli/plan_memory.h"
#include "comm/comm.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "model/exec.h"
#include "trainer/config.h"
#include "trainer/train_observer.h"

namespace cohort {

struct TrainingEnd {
  std::string summary;  // the last words, for rank 0 to tell
  bool stopped_early;
};

struct TrainingCommand {
  const char* name;
  ConfigUse use;
  // Called by all ranks, with the config read and GPUs open. Returns the exit code.
  int (*dry_run)(const Config& config, Comm& comm);
  TrainingEnd (*run)(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex);
};

Action add_training(App& app, const TrainingCommand& command);

// What a dry run says: the resolved config, and the memory of one of `ranks` ranks, as comments behind it; and of a GPU's.
void print_plan(const Config& config, const RunMemory& memory, int ranks);
// Of a command that learns from rows. Called by all ranks. Returns the exit code.
int print_plan_of_rows(const Config& config, Comm& comm, std::vector<MemoryPiece> (*step_memory)(const TrainingPlan& plan));

}  // namespace cohort
