// Runs a pipeline: stage after stage, each of which is left alone when what it was made from has not changed, and gone on with when it
// was interrupted. Stages that fail end it, with the stage's name in the message.
//
// DIR/NAME/STAGE is a run directory (sft, train), or holds rows.jsonl (sample, score, filter, merge) or eval.json; DIR/NAME/STAGE.json is
// its stamp (stamp.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "comm/signals.h"
#include "comm/watchdog.h"
#include "model/exec.h"
#include "pipeline/plan.h"
#include "trainer/config.h"
#include "trainer/train_observer.h"

namespace cohort {

// Called on rank 0 only.
class PipelineObserver {
 public:
  virtual ~PipelineObserver() = default;
  virtual void begin(const Stage& /*stage*/, size_t /*index*/, size_t /*count*/, bool /*goes_on*/) {}
  virtual void end(const Stage& /*stage*/, const std::string& /*what*/, double /*seconds*/, bool /*was_there*/) {}
  virtual TrainObserver& of_stage() = 0;  // what happens within one
};

// What a stage works with.
struct PipelineContext {
  Comm& comm;
  Watchdog& watchdog;
  const StopSignals& signals;
  PipelineObserver& observer;
  std::function<std::unique_ptr<ExecOwner>(const Config&)> make_exec;  // threads (and GPU) as a config asks for; called by all ranks
};

struct StageResult {
  std::string name, what;  // "accuracy 0.71", "12 of 64 rows ..."
  double seconds = 0;
  bool was_there = false;
  Json numbers = Json::object();  // of an eval: its metrics
};
struct PipelineSummary {
  std::vector<StageResult> stages;
  bool stopped_early = false;  // save-and-stop was requested: exit code 75
};

// Called by all ranks; reads every stage's config, and looks for the files that no stage makes, before the first one runs. Exit code 2
// when another pipeline works in the folder.
PipelineSummary run_pipeline(const Pipeline& pipeline, PipelineContext& context);

}  // namespace cohort
