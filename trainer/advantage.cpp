#include "trainer/advantage.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace cohort {
namespace {

using Rewards = std::span<const std::optional<double>>;

struct Spread {
  double count = 0, sum = 0, mean = 0, std = 0;
  bool constant = true;
};

// Of the rewards that are there. Constant by equality: rounding in mean or std must not invent a signal.
Spread spread_of(Rewards rewards) {
  Spread spread;
  std::optional<double> first;
  for (const std::optional<double>& reward : rewards) {
    if (!reward) continue;
    if (!first) first = reward;
    spread.constant = spread.constant && *reward == *first;
    spread.sum += *reward;
    spread.count += 1;
  }
  if (spread.count > 0) spread.mean = spread.sum / spread.count;
  double squares = 0;
  for (const std::optional<double>& reward : rewards)
    if (reward) squares += (*reward - spread.mean) * (*reward - spread.mean);
  if (spread.count > 1) spread.std = std::sqrt(squares / (spread.count - 1));
  return spread;
}

Rewards group_of(Rewards all, size_t group, size_t size) { return all.subspan(group * size, size); }

bool whitens_tokens(Baseline baseline) {
  return baseline == Baseline::reinforce_plus_plus || baseline == Baseline::reinforce_plus_plus_baseline;
}

// What `reward` of a group is measured against; nothing where it is worth exactly 0.
std::optional<double> baseline_of(double reward, Baseline baseline, const Spread& group, const Spread& batch) {
  switch (baseline) {
    case Baseline::group:
    case Baseline::reinforce_plus_plus_baseline:
      return group.constant ? std::nullopt : std::optional(group.mean);
    case Baseline::rloo:
      return group.constant ? std::nullopt : std::optional((group.sum - reward) / (group.count - 1));
    case Baseline::batch:
      return batch.constant ? std::nullopt : std::optional(batch.mean);
    case Baseline::none:
    case Baseline::reinforce_plus_plus:
      break;
  }
  return 0.0;
}

// GDPO: rewards normalised one by one within their groups, and summed. Nothing where none is there.
std::vector<std::optional<double>> normalized_sums(const StepRewards& rewards) {
  std::vector<std::optional<double>> sums(rewards.totals.size()), column(rewards.group_size);
  for (size_t begin = 0; begin < sums.size(); begin += rewards.group_size) {
    for (size_t r = 0; r < rewards.weights.size(); ++r) {
      for (size_t i = 0; i < column.size(); ++i) column[i] = rewards.scores.at(begin + i).at(r);
      const Spread spread = spread_of(column);
      for (size_t i = 0; i < column.size(); ++i) {
        if (!column[i]) continue;
        const double normal = spread.constant ? 0.0 : (*column[i] - spread.mean) / (spread.std + 1e-4);
        sums[begin + i] = sums[begin + i].value_or(0.0) + rewards.weights[r] * normal;
      }
    }
  }
  return sums;
}

// A_t of each token: the reward less the baseline, and the penalties from t on.
std::vector<std::vector<double>> token_returns(const StepRewards& rewards, const std::vector<double>& returns) {
  std::vector<std::vector<double>> of_tokens;
  for (size_t i = 0; i < returns.size(); ++i) {
    std::vector<double> tokens(static_cast<size_t>(rewards.tokens.at(i)), returns[i]);
    double later = 0;
    for (size_t t = tokens.size(); t-- > 0;) {
      if (!rewards.penalties.empty()) later += rewards.penalties[i].at(t);
      tokens[t] -= later;
    }
    of_tokens.push_back(std::move(tokens));
  }
  return of_tokens;
}

void whiten(std::vector<std::vector<double>>& values, const std::vector<std::optional<double>>& judged) {
  std::vector<std::optional<double>> all;
  for (size_t i = 0; i < values.size(); ++i)
    if (judged[i]) all.insert(all.end(), values[i].begin(), values[i].end());
  const Spread spread = spread_of(all);
  const double divisor = std::sqrt(spread.std * spread.std + 1e-8);
  for (size_t i = 0; i < values.size(); ++i)
    for (double& value : values[i]) value = judged[i] && !spread.constant ? (value - spread.mean) / divisor : 0.0;
}

void set_whitened(StepAdvantages& out, const StepRewards& rewards, const std::vector<std::optional<double>>& judged,
                  const std::vector<double>& returns) {
  std::vector<std::vector<double>> values = token_returns(rewards, returns);
  whiten(values, judged);
  for (size_t i = 0; i < values.size(); ++i) {
    double sum = 0;
    for (const double value : values[i]) sum += value;
    const bool equal = std::ranges::all_of(values[i], [&](double value) { return value == values[i].front(); });
    out.of[i] = values[i].empty() ? 0.0f : static_cast<float>(equal ? values[i].front() : sum / static_cast<double>(values[i].size()));
    if (!rewards.penalties.empty()) out.of_tokens.emplace_back(values[i].begin(), values[i].end());
  }
}

}  // namespace

std::string resolved_scale_rewards(const AlgorithmSection& a) {
  if (a.scale_rewards != "auto") return a.scale_rewards;
  return a.advantage == "group" ? "group" : a.advantage == "batch" ? "batch" : "none";
}

AdvantageConfig make_advantage_config(const AlgorithmSection& a) {
  AdvantageConfig config;
  if (a.advantage == "rloo") config.baseline = Baseline::rloo;
  if (a.advantage == "batch") config.baseline = Baseline::batch;
  if (a.advantage == "none") config.baseline = Baseline::none;
  if (a.advantage == "reinforce_plus_plus") config.baseline = Baseline::reinforce_plus_plus;
  if (a.advantage == "reinforce_plus_plus_baseline") config.baseline = Baseline::reinforce_plus_plus_baseline;
  const std::string scale = resolved_scale_rewards(a);
  config.scale = scale == "group" ? ScaleRewards::group : scale == "batch" ? ScaleRewards::batch : ScaleRewards::none;
  config.normalize_then_sum = a.multi_objective_aggregation == "normalize_then_sum";
  return config;
}

StepAdvantages step_advantages(const StepRewards& rewards, const AdvantageConfig& config) {
  const size_t count = rewards.totals.size(), size = rewards.group_size;
  CHECK(size > 0 && count % size == 0 && (rewards.penalties.empty() || rewards.penalties.size() == count),
        "advantages of {} rewards in groups of {}, {} penalties", count, size, rewards.penalties.size());
  std::vector<std::optional<double>> returns = config.normalize_then_sum ? normalized_sums(rewards) : rewards.totals;
  const bool whitened = whitens_tokens(config.baseline);
  if (!whitened && !rewards.penalties.empty()) {  // the whole completion's
    for (size_t i = 0; i < count; ++i)
      for (const double penalty : rewards.penalties[i])
        if (returns[i]) *returns[i] -= penalty;
  }
  const Spread batch = spread_of(returns);
  StepAdvantages out{.of = std::vector<float>(count)};
  std::vector<double> values(count);
  for (size_t g = 0; g < count / size; ++g) {
    const Spread group = spread_of(group_of(returns, g, size));
    out.constant.push_back(group.constant);
    const double divisor = config.normalize_then_sum || config.scale == ScaleRewards::batch ? batch.std + 1e-4
                           : config.scale == ScaleRewards::group                           ? group.std + 1e-4
                                                                                           : 1.0;
    for (size_t i = g * size; i < (g + 1) * size; ++i) {
      if (!returns[i]) continue;
      const std::optional<double> baseline =
          config.normalize_then_sum ? (group.constant ? std::nullopt : std::optional(batch.mean))
                                    : baseline_of(*returns[i], config.baseline, group, batch);
      values[i] = baseline ? (*returns[i] - *baseline) / (whitened ? 1.0 : divisor) : 0.0;
      out.of[i] = static_cast<float>(values[i]);
    }
  }
  if (whitened) set_whitened(out, rewards, returns, values);
  return out;
}

}  // namespace cohort
