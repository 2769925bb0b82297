#include "cli/training.h"

#include <fmt/format.h>

#include <memory>

#include "cli/arguments.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/start_line.h"
#include "core/text.h"
#include "model/device.h"
#include "trainer/deadlines.h"

namespace cohort {
namespace {

struct Options {
  ConfigArguments config;
  bool dry_run = false, quiet = false, stall_report = false;
};

int run_training(const TrainingCommand& command, const Options& o, const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals) {
  const std::shared_ptr<Gpu> gpu = load_gpu(config, comm, watchdog);
  if (o.dry_run) return command.dry_run(config, comm);
  std::string oversubscribed;
  const ThreadPlan threads = choose_threads(config.run, comm, &oversubscribed);
  ExecOwner owner(threads.threads, threads.cpus, gpu);

  const std::string opening = start_line(run_layout(comm, threads));
  std::unique_ptr<TrainObserver> observer = std::make_unique<TrainObserver>();  // of all ranks but the first: nothing is shown
  if (comm.rank() == 0)
    observer = make_progress({.opening = opening, .format = config.log.format, .quiet = !config.log.progress || o.quiet,
                              .ending = [&signals] { return signals.requested(); }});
  if (!oversubscribed.empty()) {
    observer->warning(oversubscribed);
    observer->start_warnings.push_back(oversubscribed);
  }
  const TrainingEnd end = command.run(config, comm, watchdog, signals, *observer, owner.exec());
  observer.reset();
  if (comm.rank() == 0) tell_result(end.summary);
  return static_cast<int>(end.stopped_early ? ExitCode::kStopped : ExitCode::kOk);
}

int run(const TrainingCommand& command, const Options& o, const Config& config, Comm& comm, LastSeen& seen, const StopSignals& signals) {
  comm.set_deadline(in_ms(config.comm.timeout_s));
  if (o.stall_report) {
    seen.stacks().answer();
    seen.report_stalls(true);
  }
  Watchdog watchdog(rank_name(comm), ends_all_ranks(comm, seen), &seen);
  try {
    return run_training(command, o, config, comm, watchdog, signals);
  } catch (...) {
    throw located(std::current_exception(), watchdog);
  }
}

}  // namespace

void print_plan(const Config& config, const RunMemory& memory, int ranks) {
  fmt::print("{}\n# memory of one rank of {}, at most:\n", config_to_yaml(config), ranks);
  std::string table = memory_table(memory);
  for (size_t at = 0; at < table.size(); at = table.find('\n', at) + 1) table.insert(at, "#");
  fmt::print("{}", table);
  if (const std::optional<GpuMemory> on_gpu = gpu_memory())
    fmt::print("# of the GPU, {} of {} free; its pieces are counted as a host's\n", human_bytes(static_cast<uint64_t>(on_gpu->free)),
               human_bytes(static_cast<uint64_t>(on_gpu->total)));
}

int print_plan_of_rows(const Config& config, Comm& comm, std::vector<MemoryPiece> (*step_memory)(const TrainingPlan& plan)) {
  const ThreadPlan threads = choose_threads(config.run, comm);
  if (comm.rank() != 0) return 0;
  const ModelConfig model = planned_model(config);
  const TrainingPlan plan{.model = model, .config = config, .ranks = comm.size(), .threads = threads.threads};
  RunMemory memory{.step = step_memory(plan), .checkpoint = checkpoint_memory(plan, {}), .finish = final_memory(plan)};
  print_plan(config, memory, comm.size());
  return 0;
}

Action add_training(App& app, const TrainingCommand& command) {
  auto o = std::make_shared<Options>();
  o->config.add_options(app);
  app.add_flag("--dry-run", o->dry_run, "only print the resolved config and the memory plan");
  app.add_flag("--quiet", o->quiet, "no progress, only the summary");
  app.add_flag("--stall-report", o->stall_report,
               "when a deadline passes, also print the stacks of the rank that did not keep it");
  app.footer(fmt::format(
      "Several ranks: mpirun -n N cohort {} CONFIG. The result does not depend on N.\n"
      "SIGUSR1 (or SIGTERM) saves a checkpoint at the end of the step and stops with exit code 75; "
      "the same command continues. SIGUSR2 to mpirun: each rank tells where it is, with its stacks.", command.name));
  return [o, command] {
    const StopSignals signals;  // before anything else: a request that comes while ranks find each other counts, too
    const EarlyConfig config(o->config, command.use);
    return run_on_ranks(
        StopRequests::handed_on, [&](Comm& comm, LastSeen& seen) { return run(command, *o, config.get(), comm, seen, signals); },
        config.start_limit());
  };
}

}  // namespace cohort
