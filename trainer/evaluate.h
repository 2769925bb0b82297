// Accuracy of a policy on a data set: one completion a problem, scored by the config's rewards.
#pragma once

#include <functional>

#include "comm/comm.h"
#include "reward/reward.h"
#include "rollout/generator.h"
#include "trainer/dataset.h"
#include "trainer/experience.h"

namespace cohort {

struct EvalResult {
  double accuracy = 0;        // mean score of the first reward over the rows it could judge
  double reward = 0;          // mean weighted total
  double mean_length = 0;     // tokens
  double truncated = 0;       // fraction that hit max_completion_length
  int64_t problems = 0;
  int64_t judged = 0;         // problems with a score of the first reward; 0: all are among `missing`
  std::vector<Rollout> rollouts;          // in the order of the problems, on every rank
  std::vector<std::string> completions;   // their text, special tokens skipped
  std::vector<RewardSet::Row> scores;
  std::vector<MissingScores> missing;
};

// Tokens of the longest prompt; 0 for an empty data set.
int64_t longest_prompt(const Dataset& data);

// Problems are shared out over ranks; the result is the same on every rank and for any number of ranks.
// Exit code 3 when the first reward could judge no problem at all.
// Unless that is because its checker fails or is late, which the caller must look at (EvalResult::judged).
// data.problems[i].tokens must be filled. `generator` carries sampling parameters; `step` is part of the draws' key.
EvalResult evaluate(const Dataset& data, Generator& generator, const Tokenizer& tokenizer, const RewardSet& rewards,
                    uint32_t step, Comm& comm, const Exec& ex,
                    const std::function<void(int64_t done, int64_t total)>& progress = {},
                    double reward_timeout_s = kNoTimeout);

}  // namespace cohort
