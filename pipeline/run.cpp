#include "pipeline/run.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "core/clock.h"
#include "core/files.h"
#include "core/hash.h"
#include "pipeline/stages.h"
#include "pipeline/stamp.h"
#include "trainer/build_info.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

ConfigUse use_of(StageKind kind) {
  return kind == StageKind::sft ? ConfigUse::sft : kind == StageKind::score ? ConfigUse::rewards : ConfigUse::training;
}

// With `set` in it, and ${...} as paths.
ReadyStage ready_stage(const Pipeline& pipeline, const Stage& stage, const Outputs& outputs) {
  ReadyStage ready{.stage = stage, .config = {}, .input = {}, .inputs = {}, .folder = pipeline.folder() / stage.name,
                   .output = stage_output(pipeline, stage)};
  ready.input = substitute(stage.kind == StageKind::filter ? stage.filter.input : stage.input, outputs);
  for (const std::string& input : stage.merge.inputs) ready.inputs.emplace_back(substitute(input, outputs));
  if (!stage.has_config()) return ready;
  try {
    Config& config = ready.config.emplace(load_config(stage.config, overrides_of(stage, outputs), use_of(stage.kind)));
    config.run.dir = pipeline.folder().string(), config.run.name = stage.name, config.run.resume = "auto";
    const bool samples = stage.kind == StageKind::eval || stage.kind == StageKind::sample;
    CHECK_USAGE(!samples || !config.model.init, "model.init has no trained weights to {}: 'set' model.path to what an earlier stage left",
                stage.kind == StageKind::eval ? "evaluate" : "sample");
  } catch (const Error& error) {
    fail(error.code(), "{}: stage '{}': {}", stage.where, stage.name, error.what());
  }
  return ready;
}

// Files and folders that the stage reads.
std::vector<fs::path> files_of(const ReadyStage& ready) {
  std::vector<fs::path> files = ready.inputs;
  if (!ready.input.empty()) files.emplace_back(ready.input);
  if (!ready.config || ready.stage.kind == StageKind::score) return files;
  const Config& config = *ready.config;
  if (!config.model.init) files.emplace_back(config.model.path);
  for (const DataFiles* data : {&config.data.train, &config.data.eval}) {
    if (!data->path.empty()) files.emplace_back(data->path);
    for (const DataSource& source : data->sources) files.emplace_back(source.path);
  }
  return files;
}

// Of all that decides what the stage leaves: its definition, the config without what cannot change a bit, what it reads.
std::string key_of(const ReadyStage& ready) {
  const Stage& stage = ready.stage;
  std::string text = fmt::format("{} {}\n", stage_kind_name(stage.kind), kNumericsVersion);
  const FilterRules& filter = stage.filter;
  if (stage.kind == StageKind::filter)
    text += fmt::format("{} {} {} {} {}\n", filter.finished, filter.min_reward ? fmt::format("{}", *filter.min_reward) : "any", filter.mixed,
                        filter.dedupe, filter.per_prompt);
  if (stage.kind == StageKind::merge)
    text += fmt::format("{} {}\n", stage.merge.shuffle ? fmt::format("{}", *stage.merge.shuffle) : "in order", stage.merge.max_rows);
  if (ready.config) {
    Config config = *ready.config;
    const uint64_t seed = config.run.seed;
    config.run = {}, config.comm = {}, config.log = {};
    config.run.seed = seed;
    text += config_to_yaml(config);
  }
  for (const fs::path& file : files_of(ready)) text += content_fingerprint(file) + "\n";
  return fingerprint(text);
}

enum class Decision : uint8_t { skip, go_on, anew };

// What an earlier run of the stage left would be taken for this one's by the run directory, whose checkpoints do not know the weights
// that a run began with.
void move_aside(const fs::path& folder) {
  if (!fs::exists(folder)) return;
  for (int n = 1;; ++n) {
    const fs::path to = fmt::format("{}.{}", folder.string(), n);
    if (fs::exists(to)) continue;
    fs::rename(folder, to);
    return;
  }
}

// Rank 0 decides for all. Where it cannot, the others must not wait for it: what it throws ends all ranks.
Decision decide(const ReadyStage& ready, const fs::path& stamp_file, Stamp& stamp, Comm& comm) {
  Decision decision = Decision::anew;
  if (comm.rank() == 0) {
    const std::string key = key_of(ready);
    if (const std::optional<Stamp> old = read_stamp(stamp_file); old && old->key == key) {
      stamp = *old;
      const bool there = old->done && fs::exists(ready.output) && content_fingerprint(ready.output) == old->output;
      decision = there ? Decision::skip : old->done ? Decision::anew : Decision::go_on;
    }
    const bool run_dir = ready.stage.kind == StageKind::train || ready.stage.kind == StageKind::sft;
    if (decision == Decision::anew && run_dir) move_aside(ready.folder);
    if (decision != Decision::skip) write_stamp(stamp_file, stamp = {.key = key});
  }
  comm.broadcast(std::as_writable_bytes(std::span(&decision, 1)), 0, "stage");
  return decision;
}

}  // namespace

fs::path stage_output(const Pipeline& pipeline, const Stage& stage) {
  const fs::path folder = pipeline.folder() / stage.name;
  switch (stage.kind) {
    case StageKind::sft:
    case StageKind::train: return folder / "final";
    case StageKind::eval: return folder / "eval.json";
    default: return folder / "rows.jsonl";
  }
}

PipelineSummary run_pipeline(const Pipeline& pipeline, PipelineContext& context) {
  Comm& comm = context.comm;
  const bool tells = comm.rank() == 0;
  Outputs outputs;
  for (const Stage& stage : pipeline.stages) outputs.emplace_back(stage.name, stage_output(pipeline, stage));
  std::vector<ReadyStage> stages;  // all configs are read before anything runs: what is wrong is said now, not in an hour
  for (const Stage& stage : pipeline.stages) stages.push_back(ready_stage(pipeline, stage, outputs));
  if (tells) make_writable_dir(pipeline.folder());

  PipelineSummary summary;
  for (size_t i = 0; i < stages.size(); ++i) {
    ReadyStage& ready = stages[i];
    const Stage& stage = ready.stage;
    const fs::path stamp_file = pipeline.folder() / (stage.name + ".json");
    const Clock::time_point start = Clock::now();
    try {
      context.watchdog.leave();
      comm.set_deadline(Comm::kDefaultDeadline);
      Stamp stamp;
      const Decision decision = decide(ready, stamp_file, stamp, comm);
      if (decision == Decision::skip) {
        summary.stages.push_back({stage.name, stamp.result.value("what", ""), stamp.seconds, true, stamp.result.value("numbers", Json::object())});
        if (tells) context.observer.end(stage, summary.stages.back().what, stamp.seconds, true);
        continue;
      }
      if (tells) context.observer.begin(stage, i, stages.size(), decision == Decision::go_on);
      const StageOutcome outcome = run_stage(ready, context);
      if (outcome.stopped_early) {
        summary.stopped_early = true;
        return summary;
      }
      const double seconds = seconds_since(start);
      if (tells) {
        stamp.done = true, stamp.output = content_fingerprint(ready.output), stamp.seconds = seconds;
        stamp.result = {{"what", outcome.what}, {"numbers", outcome.numbers}};
        write_stamp(stamp_file, stamp);
        context.observer.end(stage, outcome.what, seconds, false);
      }
      comm.set_deadline(Comm::kDefaultDeadline);
      comm.barrier("end of a stage");
      summary.stages.push_back({stage.name, outcome.what, seconds, false, outcome.numbers});
    } catch (const Error& error) {
      fail(error.code(), "stage '{}': {}", stage.name, error.what());
    }
    if (comm.any(context.signals.requested(), "stop request") && i + 1 < stages.size()) {
      summary.stopped_early = true;
      return summary;
    }
  }
  return summary;
}

}  // namespace cohort
