#include "trainer/reward_metrics.h"

#include <cmath>

namespace cohort {

std::pair<double, double> mean_and_std(std::span<const std::optional<double>> values) {
  double sum = 0, count = 0, squares = 0;
  for (const auto& value : values)
    if (value) sum += *value, count += 1;
  const double mean = count > 0 ? sum / count : 0;
  for (const auto& value : values)
    if (value) squares += (*value - mean) * (*value - mean);
  return {mean, count > 1 ? std::sqrt(squares / (count - 1)) : 0};
}

void set_reward_metrics(Metrics& metrics, const RewardSet& rewards, std::span<const Group> groups) {
  for (size_t r = 0; r < rewards.size(); ++r) {
    const std::vector<std::string> words = rewards.reward(r).outcome_names();
    std::vector<std::optional<double>> scores;
    std::vector<int64_t> outcomes(words.size());
    int64_t none = 0, timeouts = 0, errors = 0;
    for (const Group& group : groups) {
      for (const RewardSet::Row& row : group.scores) {
        const ScoreEnd& end = row.ends.at(r);
        scores.push_back(row.scores[r]);
        none += !row.scores[r];
        timeouts += end.missing == Missing::timeout;
        errors += end.missing == Missing::error;
        if (end.outcome >= 0) ++outcomes.at(static_cast<size_t>(end.outcome));
      }
    }
    const std::string prefix = "rewards/" + rewards.specs()[r].name + "/";
    const auto [mean, deviation] = mean_and_std(scores);
    metrics.set(prefix + "mean", mean);
    metrics.set(prefix + "std", deviation);
    metrics.set(prefix + "none", none);
    metrics.set(prefix + "timeout", timeouts);
    metrics.set(prefix + "error", errors);
    for (size_t i = 0; i < words.size(); ++i) metrics.set(prefix + "outcome/" + words[i], outcomes[i]);
  }
}

}  // namespace cohort
