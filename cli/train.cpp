// cohort train: reads the config, shows progress on rank 0, and runs trainer/grpo.h.
#include <fmt/format.h>

#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/plan_memory.h"
#include "cli/progress.h"
#include "cli/start_line.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "core/text.h"
#include "trainer/deadlines.h"
#include "trainer/generator_setup.h"
#include "trainer/grpo.h"

namespace cohort {
namespace {

struct Options {
  ConfigArguments config;
  bool dry_run = false, quiet = false, stall_report = false;
};

// With run.device: cuda, GPUs are open, and it plans with their memory.
int dry_run(const Config& config, Comm& comm) {
  const int host_ranks = ranks_on_host(comm);
  const ThreadPlan threads = choose_threads(config.run, comm);
  if (comm.rank() != 0) return 0;
  const ModelConfig model = planned_model(config);
  check_stops(tokenizer_of(config.model), model.vocab_size, config.rollout.stop, config.rollout.stop_token_ids);
  fmt::print("{}", config_to_yaml(config));
  const std::optional<int64_t> free = cache_limit(config, host_ranks).free_bytes;
  const RunMemory memory = plan_memory({.model = model, .config = config, .ranks = comm.size(), .threads = threads.threads}, free);
  const CacheSize& cache = memory.cache;
  fmt::print("\n# memory of one rank of {}, at most:\n", comm.size());
  std::string table = memory_table(memory);
  for (size_t at = 0; at < table.size(); at = table.find('\n', at) + 1) table.insert(at, "#");
  fmt::print("{}", table);
  if (const std::optional<GpuMemory> on_gpu = gpu_memory())
    fmt::print("# of the GPU, {} of {} free; its pieces are counted as a host's\n", human_bytes(static_cast<uint64_t>(on_gpu->free)),
               human_bytes(static_cast<uint64_t>(on_gpu->total)));
  fmt::print("# {}\n", cache.text());
  fmt::print("# surely used of it: {}, one sequence of {} tokens; chosen again when the run has loaded\n",
             human_bytes(static_cast<uint64_t>(cache.whole_bytes())), cache.need.positions);
  cache.require_one();
  cache.require_free();
  return 0;
}

int run_training(const Options& o, const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals) {
  const std::shared_ptr<Gpu> gpu = load_gpu(config, comm, watchdog);
  if (o.dry_run) return dry_run(config, comm);
  const ThreadPlan threads = choose_threads(config.run, comm);
  ExecOwner owner(threads.threads, threads.cpus, gpu);

  TrainProgress progress(start_line(run_layout(comm, threads)));
  TrainWarnings warnings;
  TrainObserver silent;
  const bool show = config.log.progress && !o.quiet;
  TrainObserver& observer = comm.rank() != 0 ? silent : show ? static_cast<TrainObserver&>(progress) : warnings;
  const TrainSummary summary = train(config, comm, watchdog, signals, observer, owner.exec());
  progress.close();
  if (comm.rank() == 0) tell_result(summary_table(summary));
  return static_cast<int>(summary.stopped_early ? ExitCode::kStopped : ExitCode::kOk);
}

int run(const Options& o, Comm& comm, LastSeen& seen, const StopSignals& signals) {
  const Config config = o.config.load();
  comm.set_deadline(in_ms(config.comm.timeout_s));
  if (o.stall_report) {
    seen.stacks().answer();
    seen.report_stalls(true);
  }
  Watchdog watchdog(rank_name(comm), ends_all_ranks(comm, seen), &seen);
  try {
    return run_training(o, config, comm, watchdog, signals);
  } catch (...) {
    throw located(std::current_exception(), watchdog);
  }
}

}  // namespace

Action add_train(CLI::App& app) {
  auto o = std::make_shared<Options>();
  o->config.add_options(app);
  app.add_flag("--dry-run", o->dry_run, "only print the resolved config and the memory plan");
  app.add_flag("--quiet", o->quiet, "no progress, only the summary");
  app.add_flag("--stall-report", o->stall_report,
               "when a deadline passes, also print the stacks of the rank that did not keep it");
  app.footer(
      "Several ranks: mpirun -n N cohort train CONFIG. The result does not depend on N.\n"
      "SIGUSR1 (or SIGTERM) saves a checkpoint at the end of the step and stops with exit code 75; "
      "the same command continues. SIGUSR2 to mpirun: each rank tells where it is, with its stacks.");
  return [o] {
    const StopSignals signals;  // before anything else: a request that comes while ranks find each other counts, too
    return run_on_ranks(StopRequests::handed_on,
                        [&](Comm& comm, LastSeen& seen) { return run(*o, comm, seen, signals); });
  };
}

}  // namespace cohort
