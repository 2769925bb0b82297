#include "trainer/replay.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "core/check.h"
#include "core/scratch_folder.h"
#include "trainer/checkpoint.h"
#include "trainer/compare_state.h"
#include "trainer/lineage.h"
#include "trainer/rm_run.h"
#include "trainer/sft_run.h"
#include "trainer/train_run.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// Of rank 0; the others know where it is.
class SharedScratch {
 public:
  SharedScratch(const fs::path& parent, Comm& comm) {
    std::string name;
    if (comm.rank() == 0) name = folder_.emplace(parent).path().string();
    uint64_t size = name.size();
    comm.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0, "replay folder");
    name.resize(size);
    comm.broadcast(std::as_writable_bytes(std::span(name)), 0, "replay folder");
    path_ = name;
  }
  const fs::path& path() const { return path_; }

 private:
  std::optional<ScratchFolder> folder_;
  fs::path path_;
};

void require_done(const fs::path& run, int64_t step) {
  const std::map<int64_t, Json> metrics = read_metrics(run);
  CHECK_USAGE(!metrics.empty(), "{} has no step in metrics.jsonl: there is nothing to replay", run.string());
  CHECK_USAGE(metrics.contains(step), "--step {} is not among the steps that {} has done: {} to {}", step, run.string(),
              metrics.begin()->first, metrics.rbegin()->first);
}

void require_there(const std::string& path, const std::string& key, const fs::path& run, const char* remedy) {
  CHECK_INPUT(path.empty() || fs::exists(path), "{}: not found; it is {} in {} (relative to {}); {}", path, key,
              (run / "config.yaml").string(), fs::current_path().string(), remedy);
}

// Where a replay begins: a checkpoint, or nothing: with the weights that the run began with.
struct Start {
  std::string checkpoint, name;  // where it lies, and what it is called to people
  int64_t step = 0;
  std::vector<std::string> allowed;  // keys that were changed there
};

// The newest checkpoint of the run before `step`; else, where it began with another run's, that one.
Start start_of(const ReplayRequest& request, const Config& config) {
  const std::optional<Json> origin = origin_of(request.run, config);
  const std::string path = origin ? origin->value("path", "") : "";
  const int64_t began = origin ? origin->value("step", int64_t{0}) : 0;
  CHECK_USAGE(!request.from_start || !origin, "--from-start: {} did not begin at step 1 but with {}, the state after step {}; leave the option out",
              request.run.string(), path, began);
  if (request.from_start) return {.checkpoint = "", .name = "the start"};
  const std::vector<int64_t> steps = checkpoint_steps(request.run / "checkpoints");
  const auto after = std::ranges::lower_bound(steps, request.step);
  if (after != steps.begin()) {
    const std::string name = fmt::format("checkpoints/step_{}", *std::prev(after));
    return {.checkpoint = (request.run / name).string(), .name = name, .step = *std::prev(after)};
  }
  const std::string kept = steps.empty() ? "has no checkpoint" : fmt::format("has checkpoints of step {} only", fmt::join(steps, ", "));
  if (origin) {
    CHECK_USAGE(began < request.step && fs::exists(fs::path(path) / "manifest.json"),
                "{} {}: none before step {}; it began with {}, the state after step {}{}", request.run.string(), kept, request.step, path, began,
                began < request.step ? ", which is gone: put it back there" : "");
    Start start{.checkpoint = path, .name = path, .step = began};
    for (const Json& change : origin->value("changes", Json::array())) start.allowed.push_back(key_of_difference(change.get<std::string>()));
    return start;
  }
  fail(ExitCode::kUsage,
       "{} {}: none before step {}; --from-start runs all {} steps from the weights that the run began with", request.run.string(),
       kept, request.step, request.step);
}

// Runs the steps with `one_step`, the loop of the run's command.
template <typename Run>
void run_and_compare(const ReplayRequest& request, const Config& config, Comm& comm, Run& run, void (*one_step)(Run&), Replay& result) {
  while (run.step() < request.step) one_step(run);
  // Rank 0 has written the replay's metrics, where other hosts need not see them.
  if (comm.rank() == 0) result.comparison = compare_runs(request.run, config.run_dir(), {result.first_step, request.step});
  result.different = comm.any(result.comparison.first.has_value(), "metrics comparison");
  const fs::path checkpoint = request.run / fmt::format("checkpoints/step_{}", request.step);
  result.state = fs::exists(checkpoint / "manifest.json");
  if (result.different || !result.state) return;
  if (const auto found = compare_state(checkpoint, run.optimizer().table(), run.optimizer(), comm)) {
    result.different = true;
    result.comparison.first = {request.step, fmt::format("checkpoints/step_{}, {}", request.step, found->where), found->stored, found->now};
  }
}

}  // namespace

Config replay_config(const ReplayRequest& request, const std::vector<std::string>& overrides) {
  const fs::path file = request.run / "config.yaml";
  CHECK_INPUT(fs::exists(file), "{}: no run directory: config.yaml is missing", request.run.string());
  require_done(request.run, request.step);
  const Config kept = load_config(file, {}, ConfigUse::recorded);
  Config config = overrides.empty() ? kept : load_config(file, overrides, ConfigUse::recorded);
  const std::vector<std::string> differ = identity_differences(config, config_identity(kept), "given", "the run's");
  CHECK_USAGE(differ.empty(), "a replay keeps what decides the bits: {}", fmt::join(differ, ", "));
  require_there(config.model.path, "model.path", request.run, "put the model, or a link to where it is now, there");
  for (const auto& [files, key] : {std::pair(config.data.train, std::string("data.train")), {config.data.eval, "data.eval"}}) {
    require_there(files.path, key, request.run, (key + "=FILE says where it is now").c_str());
    for (const DataSource& source : files.sources)
      require_there(source.path, fmt::format("{}, source {},", key, source.name), request.run,
                    fmt::format("{}=[{{name: {}, path: FILE}}, ...] says where all are now", key, source.name).c_str());
  }
  return config;
}

Replay replay(const ReplayRequest& request, Config config, Comm& comm, Watchdog& watchdog, TrainObserver& observer, const Exec& ex) {
  const Start start = start_of(request, config);
  Replay result{.first_step = start.step + 1, .from = start.name};
  config.run.resume = "never";
  if (!start.checkpoint.empty()) {
    config.run.resume = start.checkpoint;
    result.build_note = resume_note(config.run.resume, comm.size());
  }
  const SharedScratch scratch(request.scratch, comm);
  config.run.dir = scratch.path().string();
  config.run.name = "replay";
  config.run.allow_changes = start.allowed;
  config.trainer.checkpoint_must_save_by.clear();
  config.trainer.eval_before = false;
  config.trainer.save_steps = 0;
  config.trainer.metric_for_best_model.clear();
  config.log.eval_completions = false;
  config.log.trace = config.log.tensorboard = false;
  config.log.hooks.clear();

  if (config.sft) {
    SftRun run(config, comm, watchdog, nullptr, observer, ex);
    run_and_compare(request, config, comm, run, sft_step, result);
  } else if (config.rm) {
    RmRun run(config, comm, watchdog, nullptr, observer, ex);
    run_and_compare(request, config, comm, run, rm_step, result);
  } else {
    TrainRun run(config, comm, watchdog, nullptr, observer, ex);
    run_and_compare(request, config, comm, run, train_step, result);
  }
  return result;
}

}  // namespace cohort
