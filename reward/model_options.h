// The options of rewards that are models. They are only read here: the models are made above, in trainer/.
#pragma once

#include <cstdint>
#include <string>

#include "reward/reward.h"

namespace cohort {

// {name: model, path: FOLDER}: the score of a reward model, a ...ForSequenceClassification checkpoint of one label
// (docs/reward-models.md).
struct ModelRewardOptions {
  std::string path;            // a Hugging Face folder; must be given
  std::string dtype = "auto";  // in memory: auto (as the files have it), float32 or bfloat16
  int64_t max_length = 0;      // tokens; a longer conversation has no score. 0: the model's positions
  bool user_message = false;   // prompt: user_message: a prompt that is a text becomes a message of the user, and the chat template is used
};

// Throws (exit code 2) for options that are wrong by themselves, as check_reward in reward.h; opens nothing.
ModelRewardOptions read_model_reward(const RewardSpec& spec);
void check_model_reward(const RewardSpec& spec);

}  // namespace cohort
