// The reward `keywords`: does the completion have these words, and not those?
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
  explicit Keywords(const RewardSpec& spec)
      : required_(list_option(spec, "require")),
        forbidden_(list_option(spec, "forbid")),
        fold_(word_option(spec, "case", {"sensitive", "insensitive"}) == "insensitive") {
    CHECK_USAGE(!required_.empty() || !forbidden_.empty(), "reward '{}' needs a list 'require' or 'forbid'", spec.name);
    for (auto* list : {&required_, &forbidden_})
      if (fold_)
        for (std::string& word : *list) word = lower(word);
  }

  std::optional<double> score(const RewardInput& input) const override {
    const std::string folded = fold_ ? lower(input.completion) : "";
    const std::string_view text = fold_ ? std::string_view(folded) : input.completion;
    const auto has = [&](const std::string& word) { return text.find(word) != std::string_view::npos; };
    if (std::ranges::any_of(forbidden_, has)) return 0.0;
    if (required_.empty()) return 1.0;
    return static_cast<double>(std::ranges::count_if(required_, has)) / static_cast<double>(required_.size());
  }

 private:
  std::vector<std::string> required_, forbidden_;
  bool fold_;
};

}  // namespace

std::unique_ptr<Reward> make_keywords(const RewardSpec& spec) {
  check_options(spec, {"require", "forbid", "case"});
  return std::make_unique<Keywords>(spec);
}

}  // namespace cohort
