// The reward `regex`: does the completion match a pattern?
#include <string>

#include "core/text.h"
#include "reward/options.h"
#include "reward/pattern.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

Pattern read_pattern(const OptionReader& options) {
  return Pattern(options.text("pattern"), {.whole = options.word("mode") == "full", .caseless = options.word("case") == "insensitive"},
                 "reward '" + options.reward() + "'");
}

class RegexReward : public Reward {
 public:
  explicit RegexReward(const OptionReader& options) : answer_(options.word("part") == "answer"), pattern_(read_pattern(options)) {}

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    constexpr std::string_view kThought = "</think>";
    std::string_view text = input.completion;
    if (const size_t think = text.rfind(kThought); answer_ && think != std::string_view::npos)
      text.remove_prefix(think + kThought.size());
    int64_t steps = kMaxPatternSteps;
    const Pattern::Match match = pattern_.match(to_valid_utf8(trim(text)), steps);
    if (match == Pattern::Match::yes) return {1.0, "the pattern matches"};
    // A limit is the completion's own doing, and it must not gain by it.
    return {0.0, match == Pattern::Match::no ? "the pattern does not match" : "matching took more steps than it may, which counts as no match"};
  }

 private:
  bool answer_;
  Pattern pattern_;
};

}  // namespace

const OptionTable& regex_options() {
  static const OptionTable table = {
      {.name = "pattern", .type = OptionType::text, .help = "a regular expression in Perl's syntax (PCRE2), over Unicode", .needed = true},
      {.name = "mode", .type = OptionType::word, .help = "search: a match anywhere; full: of all of the text", .standard = "search",
       .words = {"search", "full"}},
      {.name = "part", .type = OptionType::word, .help = "answer: only what follows the last </think>", .standard = "all", .words = {"all", "answer"}},
      {.name = "case", .type = OptionType::word, .help = "insensitive: capitals are as good as small letters", .standard = "sensitive",
       .words = {"sensitive", "insensitive"}},
  };
  return table;
}

std::unique_ptr<Reward> make_regex(const RewardSpec& spec) { return std::make_unique<RegexReward>(OptionReader(spec, regex_options())); }

}  // namespace cohort
