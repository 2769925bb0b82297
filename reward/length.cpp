// The rewards `length` and `soft_overlong`: how long is the completion?
#include "core/check.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr int64_t kNoLimit = int64_t{1} << 40;

class Length : public Reward {
 public:
  explicit Length(const RewardSpec& spec)
      : low_(whole_option(spec, "min_length", 0, kNoLimit, 0)),
        high_(whole_option(spec, "max_length", 0, kNoLimit, kNoLimit)),
        unit_(unit_option(spec)) {
    CHECK_USAGE(low_ <= high_, "reward '{}': min_length {} is more than max_length {}", spec.name, low_, high_);
  }

  std::optional<double> score(const RewardInput& input) const override {
    const std::optional<int64_t> length = completion_length(input, unit_);
    if (!length) return std::nullopt;
    return *length >= low_ && *length <= high_ ? 1.0 : 0.0;
  }

 private:
  int64_t low_, high_;
  LengthUnit unit_;
};

class SoftOverlong : public Reward {
 public:
  explicit SoftOverlong(const RewardSpec& spec)
      : max_(whole_option(spec, "max_length", 1, kNoLimit, std::nullopt)),
        buffer_(whole_option(spec, "buffer", 0, max_, std::nullopt)),
        unit_(unit_option(spec)) {}

  std::optional<double> score(const RewardInput& input) const override {
    const std::optional<int64_t> length = completion_length(input, unit_);
    if (!length) return std::nullopt;
    if (*length <= max_ - buffer_) return 0.0;
    if (*length > max_) return -1.0;
    return static_cast<double>(max_ - buffer_ - *length) / static_cast<double>(buffer_);
  }

 private:
  int64_t max_, buffer_;
  LengthUnit unit_;
};

}  // namespace

std::unique_ptr<Reward> make_length(const RewardSpec& spec) {
  check_options(spec, {"min_length", "max_length", "unit"});
  return std::make_unique<Length>(spec);
}

std::unique_ptr<Reward> make_soft_overlong(const RewardSpec& spec) {
  check_options(spec, {"max_length", "buffer", "unit"});
  return std::make_unique<SoftOverlong>(spec);
}

}  // namespace cohort
