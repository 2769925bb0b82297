// Advantages of the groups of a step, by the config: what advantage.h computes from plain numbers.
#pragma once

#include <span>
#include <vector>

#include "trainer/config.h"
#include "trainer/packs.h"

namespace cohort {

// What the KL term takes from each completion's reward, token by token: beta times the estimate of log-probs at sampling against
// the groups' reference_logprobs, which are set. Of each completion, group after group.
std::vector<std::vector<double>> kl_penalties(std::span<const Group> groups, const AlgorithmSection& algorithm);

// Sets advantages (and token_advantages) and has_signal of all groups, which have as many completions each. Returns of each group
// whether its rewards are all equal. With use_kl_in_reward their reference_logprobs are set, and with algorithm.select_completions
// what is selected: `best` is measured against all of its group, max_variance is a group of its own.
std::vector<bool> set_group_advantages(std::span<Group> groups, const Config& config);

}  // namespace cohort
