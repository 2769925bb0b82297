// The reward `keywords`: does the completion have these words, and not those?
#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

class Keywords : public Reward {
 public:
  explicit Keywords(const OptionReader& options)
      : required_(options.texts("require")), forbidden_(options.texts("forbid")), fold_(options.word("case") == "insensitive") {
    CHECK_USAGE(!required_.empty() || !forbidden_.empty(), "reward '{}' needs a list 'require' or 'forbid'", options.reward());
    for (auto* list : {&required_, &forbidden_})
      if (fold_)
        for (std::string& word : *list) word = lower(word);
  }

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    const std::string folded = fold_ ? lower(input.completion) : "";
    const std::string_view text = fold_ ? std::string_view(folded) : input.completion;
    const auto has = [&](const std::string& word) { return text.find(word) != std::string_view::npos; };
    if (const auto found = std::ranges::find_if(forbidden_, has); found != forbidden_.end())
      return {0.0, fmt::format("it has {}, which is forbidden", in_quotes(*found))};
    if (required_.empty()) return {1.0, "nothing that is forbidden"};
    const auto count = std::ranges::count_if(required_, has);
    const auto lacking = std::ranges::find_if_not(required_, has);
    return {static_cast<double>(count) / static_cast<double>(required_.size()),
            fmt::format("{} of {} required words{}", count, required_.size(),
                        lacking == required_.end() ? "" : fmt::format("; the first that is missing: {}", in_quotes(*lacking)))};
  }

 private:
  std::vector<std::string> required_, forbidden_;
  bool fold_;
};

}  // namespace

const OptionTable& keywords_options() {
  static const OptionTable table = {
      {.name = "require", .type = OptionType::texts, .help = "the score is the share of these that the completion has"},
      {.name = "forbid", .type = OptionType::texts, .help = "a completion that has one of these scores 0"},
      {.name = "case", .type = OptionType::word, .help = "insensitive: ASCII capitals are as good as small letters", .standard = "sensitive",
       .words = {"sensitive", "insensitive"}},
  };
  return table;
}

std::unique_ptr<Reward> make_keywords(const RewardSpec& spec) { return std::make_unique<Keywords>(OptionReader(spec, keywords_options())); }

}  // namespace cohort
