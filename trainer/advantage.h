// Advantages: what a completion's reward is worth beside those of its group and of the step. Each formula once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trainer/config.h"

namespace cohort {

enum class ScaleRewards { group, batch, none };

enum class Baseline { group, rloo, batch, none, reinforce_plus_plus, reinforce_plus_plus_baseline };

struct AdvantageConfig {
  Baseline baseline = Baseline::group;
  ScaleRewards scale = ScaleRewards::group;  // of group, rloo, batch, none
  bool normalize_then_sum = false;
};
AdvantageConfig make_advantage_config(const AlgorithmSection& algorithm);
// algorithm.scale_rewards with its `auto` resolved: group | batch | none.
std::string resolved_scale_rewards(const AlgorithmSection& algorithm);

// The rewards of a step, completions of a group side by side.
struct StepRewards {
  size_t group_size = 0;
  std::vector<std::optional<double>> totals;               // weighted sum of a completion's scores; nothing: it cannot be judged
  std::vector<std::vector<std::optional<double>>> scores;  // of each completion and reward; normalize_then_sum alone reads them
  std::vector<double> weights;                             // of each reward
  std::vector<std::vector<double>> penalties;  // of each token, what the reward lost to it (KL); none: 0. totals are without them
  std::vector<int64_t> tokens;                 // of each completion that the loss sees; 0: none
};

struct StepAdvantages {
  std::vector<float> of;                      // of each completion; with of_tokens their mean
  std::vector<std::vector<float>> of_tokens;  // of each token, where they differ within a completion; else empty
  std::vector<bool> constant;                 // of each group: its rewards are all equal
};

// With R_i = total - sum of penalties:
//   group    R_i - mean of the group                          GRPO (DeepSeekMath, arXiv:2402.03300, section 4.1.2; constants as TRL),
//                                                             Dr. GRPO without a scale (arXiv:2503.20783)
//   rloo     R_i - mean of the others of the group            RLOO, arXiv:2402.14740 (Kool et al. 2019)
//   batch    R_i - mean of the step
//   none     R_i
// divided by std + 1e-4 of the group's or of the step's R (n - 1; batch: Lite PPO, arXiv:2508.08221), or by nothing. Constant
// rewards of what is averaged give exactly 0. Rewards that are absent get 0 and leave means and deviations.
//   reinforce_plus_plus            A_t = total - penalties of tokens t and later, then (A_t - mean) / sqrt(var + 1e-8) over all tokens
//                                  of the step, var with n - 1            REINFORCE++, arXiv:2501.03262
//   reinforce_plus_plus_baseline   the same with total - mean of the group in place of total
//   normalize_then_sum (group)     each reward by itself (r - mean) / (std + 1e-4) within its group, their weighted sum, and that by
//                                  mean and std + 1e-4 of the step        GDPO, arXiv:2601.05242
StepAdvantages step_advantages(const StepRewards& rewards, const AdvantageConfig& config);

}  // namespace cohort
