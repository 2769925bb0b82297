// The reward `cosine_length`: right answers are worth more when they are short, wrong ones less.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr std::array<const char*, 7> kOwn = {
    "max_length", "min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct", "unit", "correct"};

// The options that are the other reward's.
RewardSpec inner_spec(const RewardSpec& spec) {
  RewardSpec inner{.name = spec.name,
                   .options = Json::object(),
                   .kind = word_option(spec, "correct", {"math", "last_number", "exact"})};
  if (spec.options.is_object())
    for (const auto& [key, value] : spec.options.items())
      if (std::ranges::find(kOwn, key) == kOwn.end()) inner.options[key] = value;
  return inner;
}

class CosineLength : public Reward {
 public:
  explicit CosineLength(const RewardSpec& spec)
      : correct_(make_reward(inner_spec(spec))),
        max_length_(whole_option(spec, "max_length", 1, int64_t{1} << 40, std::nullopt)),
        unit_(unit_option(spec)) {
    const auto value = [&](const char* key, double fallback) { return number_option(spec, key, -1e6, 1e6, fallback); };
    wrong_ = {value("min_value_wrong", -1.0), value("max_value_wrong", -0.5)};
    right_ = {value("max_value_correct", 1.0), value("min_value_correct", 0.5)};
    CHECK_USAGE(wrong_.start <= wrong_.end && right_.end <= right_.start,
                "reward '{}': a minimum is more than its maximum", spec.name);
  }

  std::optional<double> score(const RewardInput& input) const override {
    const std::optional<double> correct = correct_->score(input);
    const std::optional<int64_t> length = completion_length(input, unit_);
    if (!correct || !length) return std::nullopt;
    const Range& range = *correct == 1.0 ? right_ : wrong_;
    const double share = std::min(static_cast<double>(*length) / static_cast<double>(max_length_), 1.0);
    return range.end + 0.5 * (range.start - range.end) * (1.0 + std::cos(share * std::numbers::pi));
  }

 private:
  struct Range {
    double start, end;  // for length 0 and for max_length
  };
  std::unique_ptr<Reward> correct_;
  int64_t max_length_;
  LengthUnit unit_;
  Range wrong_{}, right_{};
};

}  // namespace

std::unique_ptr<Reward> make_cosine_length(const RewardSpec& spec) {
  check_options(spec, {"max_length", "min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct",
                       "unit", "correct", "column", "mode", "decimals", "percent"});
  return std::make_unique<CosineLength>(spec);
}

}  // namespace cohort
