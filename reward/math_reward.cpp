// The reward `math`: is the completion's answer the gold answer, by the rules of mathematics?
#include "reward/math/extract.h"
#include "reward/math/judge.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

class Math : public Reward {
 public:
  explicit Math(const OptionReader& options) : column_(options.text("column")) {
    options_.flexible = options.word("mode") == "flexible";
    options_.compare.round = options.word("decimals") == "round";
    options_.compare.percent_either = options.word("percent") == "either";
  }

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const std::optional<std::string> gold = column_text(input, column_);
    if (!gold) return {std::nullopt, "the row has no text or number in its column '" + column_ + "'"};
    return math::judge(input.completion, *gold, options_);
  }

  bool takes_answers() const override { return true; }
  std::optional<std::string> answer(std::string_view completion) const override {
    math::Extracted found = math::extract_answer(completion, options_.flexible);
    return found.text.empty() ? std::nullopt : std::optional(std::move(found.text));
  }
  // By the rules that compare it with the gold answer; what cannot be read is the same where its text is.
  bool same_answer(const std::string& a, const std::string& b) const override {
    return a == b || math::judge_answer(b, a, options_).score == 1.0;
  }

 private:
  std::string column_;
  math::JudgeOptions options_;
};

}  // namespace

const OptionTable& math_options() {
  static const OptionTable table = {
      answer_column("the data column with the right answer: bare, or a solution with a \\boxed{...} or #### in it"),
      {.name = "mode", .type = OptionType::word, .help = "which parts of a completion may be its answer; flexible: also its last formula or number",
       .standard = "flexible", .words = {"flexible", "strict"}},
      {.name = "decimals", .type = OptionType::word, .help = "round: a decimal in the column stands for whatever rounds to it", .standard = "exact",
       .words = {"exact", "round"}},
      {.name = "percent", .type = OptionType::word, .help = "either: 25 and 0.25 both answer 25 %", .standard = "exact", .words = {"exact", "either"}},
  };
  return table;
}

std::unique_ptr<Reward> make_math(const RewardSpec& spec) { return std::make_unique<Math>(OptionReader(spec, math_options())); }

}  // namespace cohort
