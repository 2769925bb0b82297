#include "trainer/group_advantages.h"

#include <algorithm>

#include "core/check.h"
#include "trainer/advantage.h"
#include "trainer/kl.h"

namespace cohort {

std::vector<std::vector<double>> kl_penalties(std::span<const Group> groups, const AlgorithmSection& a) {
  const KlEstimator estimator = kl_estimator_named(a.kl_estimator);
  std::vector<std::vector<double>> penalties;
  for (const Group& group : groups) {
    CHECK(group.reference_logprobs.size() == group.rollouts.size(), "{} completions have log-probs of the reference, the group has {}",
          group.reference_logprobs.size(), group.rollouts.size());
    for (size_t i = 0; i < group.rollouts.size(); ++i) {
      std::vector<double>& tokens = penalties.emplace_back();
      for (size_t t = 0; t < group.rollouts[i].logprobs.size(); ++t)
        tokens.push_back(static_cast<double>(a.beta) * kl_term(estimator, group.rollouts[i].logprobs[t], group.reference_logprobs[i].at(t),
                                                               static_cast<double>(a.kl_input_clamp_value),
                                                               static_cast<double>(a.kl_output_clamp_value)).value);
    }
  }
  return penalties;
}

std::vector<bool> set_group_advantages(std::span<Group> groups, const Config& config) {
  const AlgorithmSection& a = config.algorithm;
  if (groups.empty()) return {};
  const auto seen = [&](const Group& group, size_t i) {  // by the loss
    return is_selected(group, i) && !(a.mask_truncated_completions && group.rollouts[i].finish_reason == FinishReason::length);
  };
  StepRewards rewards{.group_size = groups.front().rollouts.size()};
  for (const RewardSpec& spec : config.reward) rewards.weights.push_back(spec.weight);
  for (const Group& group : groups) {
    CHECK(group.rollouts.size() == rewards.group_size && group.scores.size() == rewards.group_size, "groups of {} and {} completions, {} scored",
          rewards.group_size, group.rollouts.size(), group.scores.size());
    for (size_t i = 0; i < rewards.group_size; ++i) {
      const RewardSet::Row& row = group.scores[i];
      const bool counts = a.select_completions != "max_variance" || is_selected(group, i);
      rewards.totals.push_back(counts ? row.total : std::nullopt);
      rewards.scores.push_back(counts ? row.scores : std::vector<std::optional<double>>(row.scores.size()));
      rewards.tokens.push_back(seen(group, i) ? static_cast<int64_t>(group.rollouts[i].tokens.size()) : 0);
    }
  }
  if (a.use_kl_in_reward) rewards.penalties = kl_penalties(groups, a);
  const StepAdvantages advantages = step_advantages(rewards, make_advantage_config(a));
  const auto nonzero = [](float advantage) { return advantage != 0; };
  // Whether a completion that the loss sees has an advantage.
  const auto any_teaches = [&](const Group& group, const auto& has_advantage) {
    for (size_t i = 0; i < group.rollouts.size(); ++i)
      if (has_advantage(i) && seen(group, i)) return true;
    return false;
  };
  for (size_t g = 0; g < groups.size(); ++g) {
    Group& group = groups[g];
    const auto begin = static_cast<std::ptrdiff_t>(g * rewards.group_size), end = begin + static_cast<std::ptrdiff_t>(rewards.group_size);
    group.advantages.assign(advantages.of.begin() + begin, advantages.of.begin() + end);
    group.has_signal = any_teaches(group, [&](size_t i) { return nonzero(group.advantages[i]); });
    group.token_advantages.clear();
    if (advantages.of_tokens.empty()) continue;
    group.token_advantages.assign(advantages.of_tokens.begin() + begin, advantages.of_tokens.begin() + end);
    group.has_signal = any_teaches(group, [&](size_t i) { return std::ranges::any_of(group.token_advantages[i], nonzero); });
  }
  return advantages.constant;
}

}  // namespace cohort
