// A reward model on the engine: conversations in, scores out (docs/reward-models.md).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "model/transformer.h"
#include "trainer/model_setup.h"

namespace cohort {

// Rows and conversations of a forward pass, unless one conversation alone is longer.
constexpr int64_t kScoredRows = 2048, kScoredTexts = 256;

// Of a ...ForSequenceClassification folder of one label. Exit code 3 for any other model, and for an adapter, whose score head is its base's or
// was trained beside it.
ModelConfig load_reward_model_config(const std::filesystem::path& dir);

class RewardModel {
 public:
  // Refuses what load_reward_model_config does; dtype as of load_model. What `ex` points to outlives the model.
  RewardModel(const std::filesystem::path& path, const std::string& dtype, const Exec& ex);

  const LoadedModel& model() const { return model_; }
  const Exec& exec() const { return ex_; }

  // The logit at the last token of each conversation that is not padding (score_position), in forward passes of several conversations;
  // those that begin alike share the rows of their beginning. No score depends on what else is scored, nor on threads. Nothing
  // for those whose pass had not begun at `deadline`. One call at a time. Each has at least 1 token and at most the model's positions.
  std::vector<std::optional<float>> scores(std::span<const std::vector<int32_t>> conversations, Clock::time_point deadline);

  std::string fingerprint() const { return fingerprint_; }  // of dtype and weights
  size_t bytes() const;  // weights, and activations as of the longest pass so far

 private:
  Exec ex_;
  LoadedModel model_;
  std::string fingerprint_;
  std::unique_ptr<TrainState> state_;
};

// The pass that conversations [first, ...) fill, and which conversation is behind the last of it. In order, consecutive ones that have
// much of their beginning in common are a group, whose beginning is there once.
struct ScorePass {
  TokenPack pack;
  size_t last;
};
ScorePass next_score_pass(const ModelConfig& config, std::span<const std::vector<int32_t>> conversations, size_t first);

}  // namespace cohort
