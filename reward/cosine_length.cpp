// The reward `cosine_length`: right answers are worth more when they are short, wrong ones less.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr double kLargest = 1e6;

const OptionTable& own_options() {
  static const OptionTable table = {
      {.name = "max_length", .type = OptionType::integer, .help = "the length from which on the score is the one at the end of its curve", .needed = true,
       .bounds = {.low = 1}},
      {.name = "min_value_wrong", .type = OptionType::number, .help = "the score of a wrong completion of length 0", .standard = -1.0,
       .bounds = {.low = -kLargest, .high = kLargest}},
      {.name = "max_value_wrong", .type = OptionType::number, .help = "the score of a wrong completion of max_length", .standard = -0.5,
       .bounds = {.low = -kLargest, .high = kLargest}},
      {.name = "min_value_correct", .type = OptionType::number, .help = "the score of a correct completion of max_length", .standard = 0.5,
       .bounds = {.low = -kLargest, .high = kLargest}},
      {.name = "max_value_correct", .type = OptionType::number, .help = "the score of a correct completion of length 0", .standard = 1.0,
       .bounds = {.low = -kLargest, .high = kLargest}},
      length_unit(),
      {.name = "correct", .type = OptionType::word, .help = "the reward that says which completions are correct; its own options stand here, too",
       .standard = "math", .words = {"math", "last_number", "exact"}},
  };
  return table;
}

// The options that are the other reward's.
RewardSpec inner_spec(const RewardSpec& spec, const std::string& correct) {
  RewardSpec inner{.name = spec.name, .options = Json::object(), .kind = correct};
  if (spec.options.is_object())
    for (const auto& [key, value] : spec.options.items())
      if (find_option(own_options(), key) == nullptr) inner.options[key] = value;
  return inner;
}

class CosineLength : public Reward {
 public:
  CosineLength(const RewardSpec& spec, const OptionReader& options)
      : correct_(make_reward(inner_spec(spec, options.word("correct")))),
        max_length_(options.integer("max_length")),
        unit_(unit_option(options)),
        wrong_{options.number("min_value_wrong"), options.number("max_value_wrong")},
        right_{options.number("max_value_correct"), options.number("min_value_correct")} {
    CHECK_USAGE(wrong_.start <= wrong_.end && right_.end <= right_.start,
                "reward '{}': a minimum is more than its maximum", spec.name);
  }

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const Verdict judged = correct_->explain(input);
    const std::optional<int64_t> length = completion_length(input, unit_);
    if (!judged.score) return judged;
    if (!length) return no_length();
    const bool correct = *judged.score == 1.0;
    const Range& range = correct ? right_ : wrong_;
    const double share = std::min(static_cast<double>(*length) / static_cast<double>(max_length_), 1.0);
    return {range.end + 0.5 * (range.start - range.end) * (1.0 + std::cos(share * std::numbers::pi)),
            fmt::format("{} at length {} of {}: {}", correct ? "correct" : "wrong", *length, max_length_, judged.reason)};
  }

 private:
  struct Range {
    double start, end;  // for length 0 and for max_length
  };
  std::unique_ptr<Reward> correct_;
  int64_t max_length_;
  LengthUnit unit_;
  Range wrong_, right_;
};

}  // namespace

const OptionTable& cosine_length_options() {
  static const OptionTable table = [] {
    OptionTable all = own_options();
    all.insert(all.end(), math_options().begin(), math_options().end());  // the others' are among them
    return all;
  }();
  return table;
}

std::unique_ptr<Reward> make_cosine_length(const RewardSpec& spec) {
  return std::make_unique<CosineLength>(spec, OptionReader(spec, cosine_length_options()));
}

}  // namespace cohort
