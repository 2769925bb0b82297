#include "trainer/report_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace cohort {
namespace {

constexpr int64_t kInARow = 5;  // one such step says little

std::optional<double> value_of(const Json& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  return found != metrics.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

void add(Json& findings, int64_t step, const std::string& text) { findings.push_back({{"step", step}, {"text", text}}); }

// The longest stretch of steps in a row of which `holds` is true.
struct Stretch {
  int64_t first = 0, last = 0, steps = 0;
};
Stretch longest_stretch(const std::map<int64_t, Json>& steps, const std::function<bool(const Json&)>& holds) {
  Stretch longest, now;
  for (const auto& [step, metrics] : steps) {
    if (!holds(metrics)) {
      now = {};
      continue;
    }
    if (now.steps == 0) now.first = step;
    now.last = step, ++now.steps;
    if (now.steps > longest.steps) longest = now;
  }
  return longest;
}

void find_stretches(Json& findings, const std::map<int64_t, Json>& steps) {
  struct Rule {
    const char* metric;
    double value;
    const char* text;
  };
  const std::vector<Rule> rules = {
      {"frac_reward_zero_std", 1, "all rewards of every group were equal, and nothing was learnt: take easier or harder problems, more rollout.num_generations, "
                                  "or a reward that has more than two values"},
      {"completions/clipped_ratio", 1, "every completion was cut off: raise rollout.max_completion_length, or name a stop text in rollout.stop"},
      {"learning_rate", 0, "the learning rate was 0"},
      {"grad_norm", 0, "the gradient was 0: no completion was better than another"},
  };
  for (const Rule& rule : rules) {
    const Stretch found = longest_stretch(steps, [&](const Json& metrics) { return value_of(metrics, rule.metric) == rule.value; });
    if (found.steps >= kInARow) add(findings, found.first, fmt::format("steps {} to {}: {}", found.first, found.last, rule.text));
  }
}

// Mean of the first or the last tenth of the steps.
std::optional<double> tenth(const std::map<int64_t, Json>& steps, const std::string& name, bool last) {
  double sum = 0, count = 0;
  const size_t wanted = std::max<size_t>(1, steps.size() / 10);
  size_t at = 0;
  for (const auto& [step, metrics] : steps) {
    const bool in = last ? at >= steps.size() - wanted : at < wanted;
    ++at;
    if (const auto value = value_of(metrics, name); in && value) sum += *value, count += 1;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

void find_trends(Json& findings, const std::map<int64_t, Json>& steps) {
  if (static_cast<int64_t>(steps.size()) < 2 * kInARow) return;
  const int64_t end = steps.rbegin()->first;
  const auto before = tenth(steps, "entropy", false), after = tenth(steps, "entropy", true);
  const bool samples = !tenth(steps, "mean_token_accuracy", true);  // cohort sft does not, and its entropy is to fall
  if (samples && before && after && *after < 0.1 * *before)
    add(findings, end, fmt::format("the entropy fell from {:.3g} to {:.3g}: completions of a group become alike; algorithm.epsilon_high above epsilon, an "
                                   "algorithm.entropy_coef, or a lower optim.learning_rate keep it up",
                                   *before, *after));
  const auto kl = tenth(steps, "kl", true);
  if (kl && *kl > 1)
    add(findings, end, fmt::format("the KL divergence from the reference is {:.3g}: a higher algorithm.beta or a lower optim.learning_rate hold the policy nearer", *kl));
  const auto reward_before = tenth(steps, "reward", false), reward_after = tenth(steps, "reward", true);
  const auto spread = tenth(steps, "reward_std", false);
  if (reward_before && reward_after && spread && *reward_after < *reward_before - *spread)
    add(findings, end, fmt::format("the reward fell from {:.3g} to {:.3g}: lower optim.learning_rate, or look whether two rewards pull against each other",
                                   *reward_before, *reward_after));
}

// Scores that are missing because a checker was late or failed.
void find_missing_scores(Json& findings, const std::map<int64_t, Json>& steps) {
  std::map<std::string, std::pair<int64_t, double>> missing;  // metric: first step, how many
  for (const auto& [step, metrics] : steps)
    for (const auto& [name, value] : metrics.items())
      if (name.starts_with("rewards/") && (name.ends_with("/timeout") || name.ends_with("/error")) && value.is_number() && value.get<double>() > 0) {
        auto& [first, count] = missing.try_emplace(name, step, 0.0).first->second;
        count += value.get<double>();
      }
  for (const auto& [name, found] : missing)
    add(findings, found.first, fmt::format("{}: {} scores are missing, from step {} on", name, found.second, found.first));
}

}  // namespace

Json report_findings(const std::map<int64_t, Json>& steps) {
  Json findings = Json::array();
  find_stretches(findings, steps);
  find_trends(findings, steps);
  find_missing_scores(findings, steps);
  return findings;
}

}  // namespace cohort
