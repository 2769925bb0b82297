// cohort train: trainer/grpo.h, and its plan.
#include <fmt/format.h>

#include "cli/arguments.h"
#include "cli/json_progress.h"
#include "cli/plan_memory.h"
#include "cli/progress.h"
#include "cli/training.h"
#include "core/text.h"
#include "trainer/generator_setup.h"
#include "trainer/grpo.h"

namespace cohort {
namespace {

// With run.device: cuda, GPUs are open, and it plans with their memory.
int dry_run(const Config& config, Comm& comm) {
  const int host_ranks = ranks_on_host(comm);
  const ThreadPlan threads = choose_threads(config.run, comm);
  if (comm.rank() != 0) return 0;
  const ModelConfig model = planned_model(config);
  check_stops(tokenizer_of(config.model), model.vocab_size, config.rollout.stop, config.rollout.stop_token_ids);
  const std::optional<int64_t> free = cache_limit(config, host_ranks).free_bytes;
  const RunMemory memory = plan_memory({.model = model, .config = config, .ranks = comm.size(), .threads = threads.threads}, free);
  const CacheSize& cache = memory.cache;
  print_plan(config, memory, comm.size());
  fmt::print("# {}\n", cache.text());
  fmt::print("# surely used of it: {}, one sequence of {} tokens; chosen again when the run has loaded\n",
             human_bytes(static_cast<uint64_t>(cache.whole_bytes())), cache.need.positions);
  cache.require_one();
  cache.require_free();
  return 0;
}

TrainingEnd run(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals& signals, TrainObserver& observer, const Exec& ex) {
  const TrainSummary summary = train(config, comm, watchdog, signals, observer, ex);
  return {summary_text(summary, config.log.format), summary.stopped_early};
}

}  // namespace

Action add_train(App& app) { return add_training(app, {"train", ConfigUse::training, dry_run, run}); }

}  // namespace cohort
