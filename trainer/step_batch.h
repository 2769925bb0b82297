// StepBatch: the completions that a step learns from, scored, and what there is to say of how they were made.
#pragma once

#include <filesystem>
#include <vector>

#include "core/json.h"
#include "trainer/config.h"
#include "trainer/experience.h"
#include "trainer/metrics.h"
#include "trainer/packs.h"

namespace cohort {

struct StepBatch {
  bool complete = false;  // else its sampling has begun, or is to begin
  std::vector<Group> groups;
  std::vector<MissingScores> missing;  // scores of its groups, and of those that dynamic sampling has dropped
  Metrics metrics;                     // of sampling and scoring
  int64_t num_tokens = 0;              // of prompts and completions, also of dropped groups
  double epoch = 0;                    // of the training data, when it is done
  int64_t sampled_tokens = 0;          // on all ranks, in so many seconds
  double seconds = 0;
};

// Whether the completions of the step behind `step` are sampled while that is trained.
inline bool samples_ahead(const Config& config, int64_t step) {
  return config.rollout.staleness > 0 && !config.sft && step < config.trainer.max_steps;
}

// For checkpoints of a run that samples a step ahead (rollout.staleness): written to folder/batch.json, complete, and read again bit for
// bit. Exit code 3, naming the file, when it is missing, broken, or not as `record` (what saving returned) says.
Json save_batch(const StepBatch& batch, const std::filesystem::path& folder);
Json read_batch(const std::filesystem::path& folder, const Json& record);  // as it is in the file
StepBatch load_batch(const std::filesystem::path& folder, const Json& record, const Dataset& data, const Tokenizer& tokenizer);

}  // namespace cohort
