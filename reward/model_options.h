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

// {name: judge, path: FOLDER, template: TEXT}: what a language model says of a completion.
struct JudgeOptions {
  std::string path, dtype = "auto";  // as above
  std::string text;                  // template: what it is asked (reward/judge_text.h); must be given
  std::string system;                // a message of the system before it; "": none
  std::string tag = "score";         // <tag>NUMBER</tag> is the verdict
  double min = 0, max = 10;          // what the number may be: the score is from 0 to 1
  int64_t max_prompt_length = 2048;  // tokens of the question; a longer one has no score
  int64_t max_completion_length = 256;
  double temperature = 0;            // 0: greedy
  uint64_t seed = 0;                 // of its draws
  int64_t max_num_seqs = 16;         // judged together
};
JudgeOptions read_judge(const RewardSpec& spec);
void check_judge(const RewardSpec& spec);

}  // namespace cohort
