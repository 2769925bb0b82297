#include "trainer/metric_warnings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cohort {
namespace {

constexpr int64_t kInARow = 8;      // steps; fewer say little where a step has few groups
constexpr int64_t kRateInARow = 3;  // a warm-up may begin, and a schedule may end, with a step of rate 0
constexpr size_t kWindow = 10;      // steps that a mean is taken of
constexpr size_t kShort = 5;

using Text = std::optional<std::string>;

std::string steps_of(const MetricHistory& history, int64_t count) {
  return fmt::format("steps {} to {}", history.step() - count + 1, history.step());
}

std::string figure(const MetricHistory& history, const std::string& name, int64_t count) {
  const auto value = history.recent(name, static_cast<size_t>(count));
  return value ? fmt::format("{:.4g}", *value) : "?";
}

Text equal_rewards(const MetricHistory& h) {
  if (!h.equals_for("frac_reward_zero_std", 1, kInARow)) return std::nullopt;
  return fmt::format(
      "{}: all completions of every group got the same reward (mean {}), so no completion was better than another and nothing was learnt. Take "
      "problems that are sometimes solved (data.train with weights, data.curriculum; a warm start where none ever is), raise rollout.num_generations "
      "or rollout.temperature, or add a reward that has more than two values",
      steps_of(h, kInARow), figure(h, "reward", kInARow));
}

Text all_truncated(const MetricHistory& h) {
  if (!h.equals_for("completions/clipped_ratio", 1, kInARow)) return std::nullopt;
  return fmt::format(
      "{}: every completion was cut off, after {} tokens: rewards judge texts without an end. Raise rollout.max_completion_length, name what ends an "
      "answer in rollout.stop, or teach the model to end (trainer.warm_start, cohort sft, the reward soft_overlong)",
      steps_of(h, kInARow), figure(h, "completions/mean_length", kInARow));
}

// A policy that has learnt its task has little entropy too: it is the reward that tells them apart.
Text entropy_collapse(const MetricHistory& h) {
  const auto before = h.first("entropy"), after = h.recent("entropy", kShort);
  const auto reward_before = h.first("reward"), reward_after = h.recent("reward", kWindow), spread = h.first("reward_std");
  if (!before || !after || !reward_before || !reward_after || !spread) return std::nullopt;
  if (*after >= 0.1 * *before || *reward_after - *reward_before > 0.25 * *spread) return std::nullopt;
  return fmt::format(
      "the entropy fell from {:.4g} to {:.4g} nats while the reward went from {:.4g} to {:.4g}: completions become alike before the better ones are "
      "found. Put algorithm.epsilon_high above epsilon, set algorithm.entropy_coef, raise rollout.temperature, or lower optim.learning_rate",
      *before, *after, *reward_before, *reward_after);
}

Text kl_runs_away(const MetricHistory& h) {
  const auto before = h.recent("kl", kShort, kShort), after = h.recent("kl", kShort);
  if (!before || !after || *after <= 1 || *after < 1.25 * *before) return std::nullopt;
  return fmt::format(
      "the KL divergence from the reference rose from {:.4g} to {:.4g} nats a token within {} steps: the policy leaves what the model knew. Raise "
      "algorithm.beta, lower optim.learning_rate or optim.max_grad_norm, or let the reference follow (algorithm.ref_model_sync_steps)",
      *before, *after, kShort);
}

Text format_falls(const MetricHistory& h) {
  const auto reward_before = h.first("reward"), reward_after = h.recent("reward", kWindow);
  if (!reward_before || !reward_after || *reward_after - *reward_before <= std::max(0.02, 0.1 * std::abs(*reward_before))) return std::nullopt;
  for (const char* name : {"rewards/format/mean", "rewards/json/mean"}) {
    const auto before = h.first(name), after = h.recent(name, kWindow);
    if (!before || !after || *before - *after <= std::max(0.02, 0.1 * std::abs(*before))) continue;
    return fmt::format(
        "the reward rose from {:.4g} to {:.4g} while {} fell from {:.4g} to {:.4g}: the other rewards pay for answers without the form. Raise its "
        "weight (reward: weight), or use the others' options that need the form",
        *reward_before, *reward_after, name, *before, *after);
  }
  return std::nullopt;
}

Text learning_rate_zero(const MetricHistory& h) {
  if (!h.equals_for("learning_rate", 0, kRateInARow)) return std::nullopt;
  return fmt::format(
      "{}: the learning rate was 0, and the weights did not change. optim.lr_scheduler_type linear and cosine end at 0 after trainer.max_steps, and "
      "optim.warmup_ratio begins there: use constant, or other steps",
      steps_of(h, kRateInARow));
}

Text gradient_zero(const MetricHistory& h) {
  if (!h.equals_for("grad_norm", 0, kInARow) || h.equals_for("frac_reward_zero_std", 1, kInARow)) return std::nullopt;
  return fmt::format(
      "{}: the gradient was 0, and nothing was learnt: no token counts in the loss. Completions may all be masked as cut off "
      "(algorithm.mask_truncated_completions; {} of them are) or have no advantage (reward_std {})",
      steps_of(h, kInARow), figure(h, "completions/clipped_ratio", kInARow), figure(h, "reward_std", kInARow));
}

Text reward_falls(const MetricHistory& h) {
  const auto before = h.first("reward"), after = h.recent("reward", kWindow), spread = h.first("reward_std");
  if (!before || !after || !spread || *spread <= 0 || *after >= *before - *spread) return std::nullopt;
  return fmt::format(
      "the reward fell from {:.4g} to {:.4g}, by more than its spread in a group, {:.4g}: lower optim.learning_rate, or look whether two rewards pull "
      "against each other (the curves rewards/NAME/mean of cohort report)",
      *before, *after, *spread);
}

struct Rule {
  const char* cause;
  Text (*check)(const MetricHistory&);
};
constexpr Rule kRules[] = {
    {"equal_rewards", equal_rewards}, {"all_truncated", all_truncated},           {"entropy_collapse", entropy_collapse}, {"kl_runs_away", kl_runs_away},
    {"format_falls", format_falls},   {"learning_rate_zero", learning_rate_zero}, {"gradient_zero", gradient_zero},       {"reward_falls", reward_falls},
};

}  // namespace

void MetricHistory::add(const Json& metrics) {
  step_ = metrics.value("step", step_ + 1);
  for (const auto& [name, value] : metrics.items()) {
    if (!value.is_number()) continue;
    Series& series = series_[name];
    const auto number = value.get<double>();
    if (series.first_count < kFirst) series.first_sum += number, ++series.first_count;
    series.latest.emplace_back(step_, number);
    if (series.latest.size() > kLatest) series.latest.pop_front();
  }
}

bool MetricHistory::equals_for(const std::string& name, double value, int64_t steps) const {
  const auto found = series_.find(name);
  if (found == series_.end() || std::ssize(found->second.latest) < steps) return false;
  const auto& latest = found->second.latest;
  for (int64_t back = 0; back < steps; ++back) {
    const auto& [step, number] = latest[latest.size() - 1 - static_cast<size_t>(back)];
    if (step != step_ - back || number != value) return false;
  }
  return true;
}

std::optional<double> MetricHistory::first(const std::string& name) const {
  const auto found = series_.find(name);
  if (found == series_.end() || found->second.first_count < kFirst) return std::nullopt;
  return found->second.first_sum / static_cast<double>(kFirst);
}

std::optional<double> MetricHistory::recent(const std::string& name, size_t count, size_t skip) const {
  const auto found = series_.find(name);
  if (found == series_.end() || count == 0 || found->second.latest.size() < count + skip) return std::nullopt;
  double sum = 0;
  const auto end = found->second.latest.end() - static_cast<std::ptrdiff_t>(skip);
  for (auto value = end - static_cast<std::ptrdiff_t>(count); value != end; ++value) sum += value->second;
  return sum / static_cast<double>(count);
}

std::vector<MetricWarning> MetricWarnings::add(const Json& metrics) {
  history_.add(metrics);
  std::vector<MetricWarning> warnings;
  for (const Rule& rule : kRules) {
    if (told_.contains(rule.cause)) continue;
    Text text = rule.check(history_);
    if (!text) continue;
    told_.insert(rule.cause);
    warnings.push_back({rule.cause, history_.step(), std::move(*text)});
  }
  return warnings;
}

std::vector<std::string> warning_causes() {
  std::vector<std::string> causes;
  for (const Rule& rule : kRules) causes.emplace_back(rule.cause);
  return causes;
}

}  // namespace cohort
