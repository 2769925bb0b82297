// The options of rewards that are models. They are only read here: the models are made above, in trainer/.
#pragma once

#include <cstdint>
#include <string>

#include "reward/option_table.h"
#include "reward/reward.h"

namespace cohort {

// {name: model, path: FOLDER}: the score of a reward model, a ...ForSequenceClassification checkpoint of one label
// (docs/reward-models.md).
struct ModelRewardOptions {
  std::string path, dtype;
  int64_t max_length;  // 0: the model's positions
  bool user_message;
};

// Throws (exit code 2) for options that are wrong by themselves, as check_reward in reward.h; opens nothing.
const OptionTable& model_reward_options();
ModelRewardOptions read_model_reward(const RewardSpec& spec);
void check_model_reward(const RewardSpec& spec);

// {name: judge, path: FOLDER, template: TEXT}: what a language model says of a completion.
struct JudgeOptions {
  std::string path, dtype;
  std::string text;    // the template (reward/judge_text.h)
  std::string system;  // "": none
  std::string tag;
  double min, max;
  int64_t max_prompt_length, max_completion_length;
  double temperature;
  uint64_t seed;
  int64_t max_num_seqs;
};
const OptionTable& judge_options();
JudgeOptions read_judge(const RewardSpec& spec);
void check_judge(const RewardSpec& spec);

}  // namespace cohort
