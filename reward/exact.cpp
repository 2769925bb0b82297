// The reward `exact`: is the completion, trimmed, the answer?
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

class Exact : public Reward {
 public:
  explicit Exact(const RewardSpec& spec) : column_(column_option(spec)) {}

  std::optional<double> score(const RewardInput& input) const override {
    const std::optional<std::string> answer = column_text(input, column_);
    if (!answer) return std::nullopt;
    return trim(input.completion) == trim(*answer) ? 1.0 : 0.0;
  }

  bool takes_answers() const override { return true; }
  std::optional<std::string> answer(std::string_view completion) const override { return std::string(trim(completion)); }

 private:
  std::string column_;
};

}  // namespace

std::unique_ptr<Reward> make_exact(const RewardSpec& spec) {
  check_options(spec, {"column"});
  return std::make_unique<Exact>(spec);
}

}  // namespace cohort
