// Rewards: text in, score out. A reward knows only strings and numbers: no model, no tokenizer.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "reward/verdict.h"

namespace cohort {

// What a reward may look at. `columns`: the data row's other columns ("answer", ...).
struct RewardInput {
  std::string_view prompt, completion;
  std::string_view finish_reason;  // "stop" or "length"
  const Json* columns;
  bool opens_thinking = false;  // the prompt ended with <think>, which the completion then lacks
  std::span<const int32_t> ids = {};  // the completion's tokens; empty where they are not known
};

class Reward {
 public:
  virtual ~Reward() = default;
  // The score, or nothing when the row cannot be judged (left out and counted). A pure function of
  // the input.
  virtual std::optional<double> score(const RewardInput& input) const = 0;
  // The same score, with the reason where the reward has one to give.
  virtual Verdict explain(const RewardInput& input) const { return {score(input), ""}; }
};

// One entry of the config's `reward` list: {name: last_number, weight: 1.0, ...options}.
struct RewardSpec {
  std::string name;
  double weight = 1.0;
  Json options;  // the other keys; each reward refuses those it does not know (exit code 2)
};

// Throws (exit code 2) for an unknown name, with the nearest known one.
std::unique_ptr<Reward> make_reward(const RewardSpec& spec);
std::vector<std::string> reward_names();

// Several rewards with weights. scores[i] of a row: one per reward; total: the weighted sum of
// those present, or nothing when none is.
class RewardSet {
 public:
  explicit RewardSet(std::vector<RewardSpec> specs);
  struct Row {
    std::vector<std::optional<double>> scores;
    std::optional<double> total;
  };
  Row score(const RewardInput& input) const;
  const std::vector<RewardSpec>& specs() const { return specs_; }

 private:
  std::vector<RewardSpec> specs_;
  std::vector<std::unique_ptr<Reward>> rewards_;
};

}  // namespace cohort
