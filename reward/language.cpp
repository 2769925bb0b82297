// The reward `language`: which share of the letters is of the wanted script, or of the words of the wanted language?
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/check.h"
#include "core/text.h"
#include "reward/language_id.h"
#include "reward/options.h"
#include "reward/prose.h"
#include "reward/rewards.h"
#include "reward/script.h"

namespace cohort {
namespace {

class Language : public Reward {
 public:
  explicit Language(const OptionReader& options)
      : script_(options.given("script") ? options.word("script") : ""),
        target_(options.given("target") ? options.word("target") : ""),
        thinking_(options.word("part") == "thinking") {
    CHECK_USAGE(script_.empty() != target_.empty(), "reward '{}': {}; needs either 'script' (letters) or 'target' (words of a language)",
                options.reward(), script_.empty() ? "neither 'script' nor 'target' is given" : "both 'script' and 'target' are given");
  }

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    std::string text = to_valid_utf8(input.completion);
    if (thinking_) text.resize(std::min(text.find("</think>"), text.size()));
    return target_.empty() ? of_script(text) : of_target(text);
  }

 private:
  static Verdict share(size_t wanted, size_t all, std::string_view things, std::string_view name) {
    return {all == 0 ? 1.0 : static_cast<double>(wanted) / static_cast<double>(all), fmt::format("{} of {} {} are {}", wanted, all, things, name)};
  }

  Verdict of_script(const std::string& text) const {
    size_t letters = 0, wanted = 0;
    for (size_t at = 0; at < text.size();) {
      const std::string_view script = script_of(next_code_point(text, at));
      if (script.empty()) continue;
      ++letters;
      wanted += script == script_ || (script_ == "japanese" && (script == "han" || script == "kana"));
    }
    return share(wanted, letters, "letters", script_);
  }

  Verdict of_target(const std::string& text) const {
    const std::string language = prose(text);
    const std::vector<Word> words = words_of(language);
    const std::vector<std::string_view> languages = languages_of(language, words);
    std::map<std::string_view, size_t> counts;
    for (const std::string_view code : languages) ++counts[code];
    const size_t wanted = counts[target_];
    Verdict verdict = share(wanted, words.size(), "words", target_);
    counts.erase(target_);
    const auto other = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
    if (other != counts.end())
      verdict.reason += other->first.empty() ? fmt::format("; of {} the language cannot be told", other->second)
                                             : fmt::format("; {} are {}", other->second, other->first);
    return verdict;
  }

  std::string script_, target_;
  bool thinking_;
};

}  // namespace

const OptionTable& language_options() {
  static const OptionTable table = {
      {.name = "script", .type = OptionType::word, .help = "the script whose share of the letters is the score; japanese is han and kana",
       .words = {"latin", "han", "cyrillic", "greek", "arabic", "hebrew", "devanagari", "hangul", "kana", "japanese", "thai"}},
      {.name = "target", .type = OptionType::word, .help = "the language (ISO 639-1) whose share of the words is the score; instead of script",
       .words = known_languages()},
      {.name = "part", .type = OptionType::word, .help = "thinking: only what stands before </think>", .standard = "all", .words = {"all", "thinking"}},
  };
  return table;
}

std::unique_ptr<Reward> make_language(const RewardSpec& spec) { return std::make_unique<Language>(OptionReader(spec, language_options())); }

}  // namespace cohort
