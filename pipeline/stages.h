// What each kind of stage does.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "pipeline/run.h"

namespace cohort {

// A stage whose inputs are there.
struct ReadyStage {
  const Stage& stage;
  std::optional<Config> config;  // with `set`, its run directory and its name
  std::string input;             // of score and filter, as a path
  std::vector<std::filesystem::path> inputs;  // of merge
  std::filesystem::path folder, output;  // what the stage leaves lies in its folder; ${STAGE}
};
// The output, and what lies beside it: an eval's completions.
std::vector<std::filesystem::path> outputs_of(const ReadyStage& ready);

struct StageOutcome {
  std::string what;               // one line for people
  Json numbers = Json::object();  // of an eval
  bool stopped_early = false;     // the stage is not done
};

// Called by all ranks; what it leaves is complete, or absent.
StageOutcome run_stage(const ReadyStage& ready, PipelineContext& context);

}  // namespace cohort
