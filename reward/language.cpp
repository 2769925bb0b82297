// The reward `language`: which share of the letters is of the wanted script?
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/check.h"
#include "core/text.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

struct Block {
  std::string_view script;
  char32_t first, last;
};

// The letters of the scripts by their Unicode blocks (Unicode 15, Blocks.txt), without the blocks of dead scripts and
// phonetics. Japanese is kana and han.
constexpr std::array kBlocks = {Block{"latin", 'A', 'Z'},
                                Block{"latin", 'a', 'z'},
                                Block{"latin", 0x00C0, 0x00D6},
                                Block{"latin", 0x00D8, 0x00F6},
                                Block{"latin", 0x00F8, 0x024F},
                                Block{"latin", 0x1E00, 0x1EFF},
                                Block{"greek", 0x0370, 0x03FF},
                                Block{"greek", 0x1F00, 0x1FFF},
                                Block{"cyrillic", 0x0400, 0x052F},
                                Block{"hebrew", 0x05D0, 0x05EA},
                                Block{"arabic", 0x0620, 0x06FF},
                                Block{"arabic", 0x0750, 0x077F},
                                Block{"devanagari", 0x0900, 0x097F},
                                Block{"thai", 0x0E01, 0x0E5B},
                                Block{"hangul", 0x1100, 0x11FF},
                                Block{"hangul", 0xAC00, 0xD7A3},
                                Block{"kana", 0x3041, 0x30FF},
                                Block{"kana", 0x31F0, 0x31FF},
                                Block{"han", 0x3400, 0x4DBF},
                                Block{"han", 0x4E00, 0x9FFF},
                                Block{"han", 0xF900, 0xFAFF},
                                Block{"han", 0x20000, 0x2FA1F}};

std::string_view script_of(char32_t c) {
  for (const Block& block : kBlocks)
    if (c >= block.first && c <= block.last) return block.script;
  return "";
}

class Language : public Reward {
 public:
  explicit Language(const OptionReader& options) : script_(options.word("script")), thinking_(options.word("part") == "thinking") {}

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    std::string text = to_valid_utf8(input.completion);
    if (thinking_) text.resize(std::min(text.find("</think>"), text.size()));
    int64_t letters = 0, wanted = 0;
    for (size_t at = 0; at < text.size();) {
      const std::string_view script = script_of(next_code_point(text, at));
      if (script.empty()) continue;
      ++letters;
      wanted += script == script_ || (script_ == "japanese" && (script == "han" || script == "kana"));
    }
    return {letters == 0 ? 1.0 : static_cast<double>(wanted) / static_cast<double>(letters), fmt::format("{} of {} letters are {}", wanted, letters, script_)};
  }

 private:
  std::string script_;
  bool thinking_;
};

}  // namespace

const OptionTable& language_options() {
  static const OptionTable table = {
      {.name = "script", .type = OptionType::word, .help = "the script whose share of the letters is the score; japanese is han and kana", .needed = true,
       .words = {"latin", "han", "cyrillic", "greek", "arabic", "hebrew", "devanagari", "hangul", "kana", "japanese", "thai"}},
      {.name = "part", .type = OptionType::word, .help = "thinking: only what stands before </think>", .standard = "all", .words = {"all", "thinking"}},
  };
  return table;
}

std::unique_ptr<Reward> make_language(const RewardSpec& spec) { return std::make_unique<Language>(OptionReader(spec, language_options())); }

}  // namespace cohort
