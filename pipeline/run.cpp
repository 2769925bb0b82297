#include "pipeline/run.h"

#include <fmt/format.h>

#include "core/check.h"
#include "core/clock.h"
#include "core/files.h"
#include "core/folder_lock.h"
#include "pipeline/stage_key.h"
#include "pipeline/stages.h"
#include "pipeline/stamp.h"
#include "pipeline/start_check.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

ConfigUse use_of(StageKind kind) {
  return kind == StageKind::sft ? ConfigUse::sft : kind == StageKind::score ? ConfigUse::rewards : ConfigUse::training;
}

// With `set` in it, and ${...} as paths.
ReadyStage ready_stage(const Pipeline& pipeline, const Stage& stage, const Outputs& outputs) {
  ReadyStage ready{.stage = stage, .config = {}, .input = {}, .inputs = {}, .folder = pipeline.folder() / stage.name,
                   .output = {}};
  ready.output = ready.folder / (stage.kind == StageKind::eval ? "eval.json" : leaves_model(stage.kind) ? "final" : "rows.jsonl");
  ready.input = substitute(stage.kind == StageKind::filter ? stage.filter.input : stage.input, outputs);
  for (const std::string& input : stage.merge.inputs) ready.inputs.emplace_back(substitute(input, outputs));
  if (!stage.has_config()) return ready;
  try {
    Config& config = ready.config.emplace(load_config(stage.config, overrides_of(stage, outputs), use_of(stage.kind)));
    config.run.dir = pipeline.folder().string(), config.run.name = stage.name, config.run.resume = "auto";
    const bool samples = stage.kind == StageKind::eval || stage.kind == StageKind::sample;
    if (config.model.lora && (stage.kind == StageKind::train || stage.kind == StageKind::sft) && config.model.lora->save_merged) ready.output = ready.folder / "final_merged";
    CHECK_USAGE(!samples || !config.model.init, "model.init has no trained weights to {}: 'set' model.path to what an earlier stage left",
                stage.kind == StageKind::eval ? "evaluate" : "sample");
  } catch (const Error& error) {
    fail(error.code(), "{}: stage '{}': {}", stage.where, stage.name, error.what());
  }
  return ready;
}

enum class Decision : uint8_t { skip, go_on, anew };

// Rank 0 decides for all. Where it cannot, the others must not wait for it: what it throws ends all ranks.
Decision decide(const ReadyStage& ready, const fs::path& stamp_file, Stamp& stamp, Comm& comm) {
  Decision decision = Decision::anew;
  if (comm.rank() == 0) {
    const std::string key = key_of(ready);
    if (const std::optional<Stamp> old = read_stamp(stamp_file); old && old->key == key) {
      stamp = *old;
      const bool there = old->done && output_fingerprint(ready) == old->output;
      decision = there ? Decision::skip : old->done ? Decision::anew : Decision::go_on;
    }
    const bool run_dir = ready.stage.kind == StageKind::train || ready.stage.kind == StageKind::sft;
    // What an earlier run of the stage left would be taken for this one's by the run directory, whose checkpoints do not know the weights
    // that a run began with.
    if (decision == Decision::anew && run_dir && fs::exists(ready.folder)) {
      const Fd lock = lock_folder(ready.folder, "another process is training in this run directory");
      move_aside(ready.folder);
    }
    if (decision != Decision::skip) write_stamp(stamp_file, stamp = {.key = key});
  }
  comm.broadcast(std::as_writable_bytes(std::span(&decision, 1)), 0, "stage");
  return decision;
}

}  // namespace

PipelineSummary run_pipeline(const Pipeline& pipeline, PipelineContext& context) {
  Comm& comm = context.comm;
  const bool tells = comm.rank() == 0;
  Outputs outputs;
  std::vector<ReadyStage> stages;  // all configs are read before anything runs: what is wrong is said now, not in an hour
  for (const Stage& stage : pipeline.stages) {
    stages.push_back(ready_stage(pipeline, stage, outputs));
    outputs.emplace_back(stage.name, stages.back().output);
  }
  check_start(stages);
  std::optional<Fd> lock;  // for as long as this lives
  if (tells) {
    make_writable_dir(pipeline.folder());
    lock = lock_folder(pipeline.folder(), "another cohort pipeline works in this folder");
  }

  PipelineSummary summary;
  for (size_t i = 0; i < stages.size(); ++i) {
    ReadyStage& ready = stages[i];
    const Stage& stage = ready.stage;
    const fs::path stamp_file = pipeline.folder() / (stage.name + ".json");
    const Clock::time_point start = Clock::now();
    try {
      context.watchdog.enter("", 0, {}), context.watchdog.leave();  // what fails now is in no section of the stage before
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
        stamp.done = true, stamp.output = output_fingerprint(ready), stamp.seconds = seconds;
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
