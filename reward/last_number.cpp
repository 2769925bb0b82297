// The reward `last_number`: is the last number of the completion the answer?
#include <fmt/format.h>

#include "reward/decimal.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

class LastNumber : public Reward {
 public:
  explicit LastNumber(const OptionReader& options) : column_(options.text("column")) {}

  std::optional<double> score(const RewardInput& input) const override {
    const std::optional<std::string> text = column_text(input, column_);
    const std::optional<Decimal> answer = text ? parse_decimal(*text) : std::nullopt;
    if (!answer) return std::nullopt;
    return last_decimal(input.completion) == answer ? 1.0 : 0.0;
  }

  bool takes_answers() const override { return true; }
  std::optional<std::string> answer(std::string_view completion) const override {
    const std::optional<Decimal> number = last_decimal(completion);  // one form for each value
    if (!number) return std::nullopt;
    return fmt::format("{}0.{}e{}", number->negative ? "-" : "", number->digits, number->exponent);
  }

 private:
  std::string column_;
};

}  // namespace

const OptionTable& last_number_options() {
  static const OptionTable table = {answer_column("the data column with the right number")};
  return table;
}

std::unique_ptr<Reward> make_last_number(const RewardSpec& spec) {
  return std::make_unique<LastNumber>(OptionReader(spec, last_number_options()));
}

}  // namespace cohort
