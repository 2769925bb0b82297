// The reward `exact`: is the completion, trimmed, the answer?
#include <fmt/format.h>

#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

class Exact : public Reward {
 public:
  explicit Exact(const OptionReader& options) : column_(options.text("column")) {}

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const std::optional<std::string> answer = column_text(input, column_);
    if (!answer) return no_column(column_);
    const std::string_view given = trim(input.completion), wanted = trim(*answer);
    if (given == wanted) return {1.0, "the completion is the answer"};
    return {0.0, fmt::format("the completion is {}, the answer {}", in_quotes(given), in_quotes(wanted))};
  }

  bool takes_answers() const override { return true; }
  std::optional<std::string> answer(std::string_view completion) const override { return std::string(trim(completion)); }

 private:
  std::string column_;
};

}  // namespace

const OptionTable& exact_options() {
  static const OptionTable table = {answer_column()};
  return table;
}

std::unique_ptr<Reward> make_exact(const RewardSpec& spec) { return std::make_unique<Exact>(OptionReader(spec, exact_options())); }

}  // namespace cohort
