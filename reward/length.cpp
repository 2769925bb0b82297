// The rewards `length` and `soft_overlong`: how long is the completion?
#include <fmt/format.h>

#include "core/check.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

class Length : public Reward {
 public:
  explicit Length(const OptionReader& options)
      : low_(options.integer("min_length")),
        high_(options.given("max_length") ? options.integer("max_length") : INT64_MAX),
        unit_(unit_option(options)) {
    CHECK_USAGE(low_ <= high_, "reward '{}': min_length {} is more than max_length {}", options.reward(), low_, high_);
  }

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const std::optional<int64_t> length = completion_length(input, unit_);
    if (!length) return no_length();
    const bool fits = *length >= low_ && *length <= high_;
    return {fits ? 1.0 : 0.0, high_ == INT64_MAX ? fmt::format("length {}; at least {} is wanted", *length, low_)
                                                  : fmt::format("length {}; {} to {} is wanted", *length, low_, high_)};
  }

 private:
  int64_t low_, high_;
  LengthUnit unit_;
};

class SoftOverlong : public Reward {
 public:
  explicit SoftOverlong(const OptionReader& options)
      : max_(options.integer("max_length")), buffer_(options.integer("buffer")), unit_(unit_option(options)) {
    CHECK_USAGE(buffer_ <= max_, "reward '{}': 'buffer' is {}; allowed is at most max_length, {}", options.reward(), buffer_, max_);
  }

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const std::optional<int64_t> length = completion_length(input, unit_);
    if (!length) return no_length();
    const std::string reason = fmt::format("length {}; the penalty begins above {} and is whole above {}", *length, max_ - buffer_, max_);
    if (*length <= max_ - buffer_) return {0.0, reason};
    if (*length > max_) return {-1.0, reason};
    return {static_cast<double>(max_ - buffer_ - *length) / static_cast<double>(buffer_), reason};
  }

 private:
  int64_t max_, buffer_;
  LengthUnit unit_;
};

}  // namespace

const OptionTable& length_options() {
  static const OptionTable table = {
      {.name = "min_length", .type = OptionType::integer, .help = "a shorter completion scores 0", .standard = 0, .bounds = {.low = 0}},
      {.name = "max_length", .type = OptionType::integer, .help = "a longer completion scores 0; without it there is no limit", .bounds = {.low = 0}},
      length_unit(),
  };
  return table;
}

std::unique_ptr<Reward> make_length(const RewardSpec& spec) { return std::make_unique<Length>(OptionReader(spec, length_options())); }

const OptionTable& soft_overlong_options() {
  static const OptionTable table = {
      {.name = "max_length", .type = OptionType::integer, .help = "the length from which on the score is -1", .needed = true, .bounds = {.low = 1}},
      {.name = "buffer", .type = OptionType::integer, .help = "how long before max_length the score begins to fall; at most max_length", .needed = true,
       .bounds = {.low = 0}},
      length_unit(),
  };
  return table;
}

std::unique_ptr<Reward> make_soft_overlong(const RewardSpec& spec) {
  return std::make_unique<SoftOverlong>(OptionReader(spec, soft_overlong_options()));
}

}  // namespace cohort
