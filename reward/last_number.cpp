// The reward `last_number`: is the last number of the completion the answer?
#include <fmt/format.h>

#include "reward/decimal.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

// As one would write it.
std::string plain(const Decimal& number) {
  const auto size = static_cast<int64_t>(number.digits.size());
  const std::string sign = number.negative ? "-" : "";
  if (size == 0) return "0";
  if (number.exponent > 20 || number.exponent < -5 || size > 40)
    return fmt::format("{}0.{}{}e{}", sign, number.digits.substr(0, 40), size > 40 ? "..." : "", number.exponent);
  const auto zeros = [](int64_t count) { return std::string(static_cast<size_t>(std::max<int64_t>(0, count)), '0'); };
  if (number.exponent <= 0) return fmt::format("{}0.{}{}", sign, zeros(-number.exponent), number.digits);
  if (size <= number.exponent) return fmt::format("{}{}{}", sign, number.digits, zeros(number.exponent - size));
  const auto point = static_cast<size_t>(number.exponent);
  return fmt::format("{}{}.{}", sign, number.digits.substr(0, point), number.digits.substr(point));
}

class LastNumber : public Reward {
 public:
  explicit LastNumber(const OptionReader& options) : column_(options.text("column")) {}

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const std::optional<std::string> text = column_text(input, column_);
    const std::optional<Decimal> answer = text ? parse_decimal(*text) : std::nullopt;
    if (!text) return no_column(column_);
    if (!answer) return {std::nullopt, fmt::format("the row's '{}' is no number: {}", column_, in_quotes(*text))};
    const std::optional<Decimal> found = last_decimal(input.completion);
    if (!found) return {0.0, "the completion has no number"};
    return {found == answer ? 1.0 : 0.0, fmt::format("the last number is {}, the answer {}", plain(*found), plain(*answer))};
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
