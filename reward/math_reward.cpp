// The reward `math`: is the completion's answer the gold answer, by the rules of mathematics?
#include "reward/math/extract.h"
#include "reward/math/judge.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

class Math : public Reward {
 public:
  explicit Math(const RewardSpec& spec) : column_(column_option(spec)) {
    options_.flexible = word_option(spec, "mode", {"flexible", "strict"}) == "flexible";
    options_.compare.round = word_option(spec, "decimals", {"exact", "round"}) == "round";
    options_.compare.percent_either = word_option(spec, "percent", {"exact", "either"}) == "either";
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

std::unique_ptr<Reward> make_math(const RewardSpec& spec) {
  check_options(spec, {"column", "mode", "decimals", "percent"});
  return std::make_unique<Math>(spec);
}

}  // namespace cohort
