// Any two texts, parted by the first line break, as a pattern of the reward `regex` and as a completion: the pattern is refused with exit
// code 2, or the completion matches or not, the same twice, within 50 ms and 64 MB. A character before it chooses the options.
#include <cstdlib>
#include <memory>
#include <string_view>

#include "core/check.h"
#include "core/text.h"
#include "reward/rewards.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({"0^(\\d+)\\s*([a-z]+)$\n12 abc", "1(a+)+$\naaaaaaaaaaaaaaaaaaaaaaaa!", "2(?<year>\\d{4})-(?P<m>\\d\\d)\\k<year>\n2024-012024",
               "3(?i:\\p{Lu}\\X\\R)|\\bx\\B.*?\n\xC3\x84\x0A", "0(?=a)(?!b)(?<=c)(?<!d)[^\\W_]{2,5}+\ncab", "5((?R)|x)*\nxxxx",
               "0(*LIMIT_MATCH=5)(*UCP)a(*SKIP)b|c\nac", "4<answer>(.*?)</answer>\n</think><answer>5</answer>", "0(?|(a)|(b))\\1(?(1)x|y)\naax",
               "0\\Qa.b\\E\\x{1F600}\\N{U+41}[[:alpha:]]\na.b", "0(?C1)a(?C2)\na", "0(\n"});
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const unsigned options = data[0];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t split = std::min(text.find('\n'), text.size());
  const std::string_view completion = text.substr(std::min(split + 1, text.size()));
  // What a config holds is valid UTF-8.
  const RewardSpec spec{.name = "regex", .options = {{"pattern", to_valid_utf8(text.substr(0, split))},
                                                     {"mode", (options & 1) != 0 ? "full" : "search"},
                                                     {"case", (options & 2) != 0 ? "insensitive" : "sensitive"},
                                                     {"part", (options & 4) != 0 ? "answer" : "all"}}};
  std::unique_ptr<Reward> reward;
  std::optional<double> score;
  try {
    const FuzzLimits limits;
    reward = make_regex(spec);
    score = reward->score({.completion = completion, .columns = nullptr});
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUsage) std::abort();
    return 0;
  }
  if (score != 0.0 && score != 1.0) std::abort();
  if (reward->score({.completion = completion, .columns = nullptr}) != score) std::abort();
  return 0;
}
