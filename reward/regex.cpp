// The reward `regex`: does the completion match a pattern?
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "core/check.h"
#include "core/text.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr size_t kMaxPatternBytes = 16384;
constexpr uint32_t kMaxNesting = 50, kHeapLimitKiB = 65536;
// Of one completion. PCRE2 counts its own limit anew at each place where a match could begin, and a run that one item
// takes as nothing. So the steps are counted by callouts, of which there is one before each item of the pattern: one, and
// one for each byte on the way since the last.
constexpr int64_t kMaxSteps = 1'000'000;  // less than 50 ms

using Code = std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)>;

Code compile(const std::string& pattern, uint32_t options, const std::string& who) {
  CHECK_USAGE(pattern.size() <= kMaxPatternBytes, "reward '{}': a pattern of {} bytes; allowed are {}", who, pattern.size(),
              kMaxPatternBytes);
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  CHECK(context, "out of memory for a pattern");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          options | PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT, &error, &offset,
                          context.get()),
            &pcre2_code_free);
  PCRE2_UCHAR message[256] = {};
  if (!code) pcre2_get_error_message(error, message, sizeof message);
  CHECK_USAGE(code, "reward '{}': the pattern {} does not compile: {} at byte {}", who, pattern,
              reinterpret_cast<const char*>(message), offset);
  return code;
}

struct Steps {
  int64_t count = 0, place = 0;
};

int count_steps(pcre2_callout_block* block, void* data) {
  Steps& steps = *static_cast<Steps*>(data);
  const auto place = static_cast<int64_t>(block->current_position);
  steps.count += 1 + std::abs(place - steps.place);
  steps.place = place;
  return steps.count > kMaxSteps ? PCRE2_ERROR_MATCHLIMIT : 0;
}

// By the interpreter and not by compiled code, which counts otherwise: a score is the same on every machine.
bool matches(const pcre2_code* code, std::string_view text) {
  Steps steps;
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(pcre2_match_data_create(1, nullptr),
                                                                                 &pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context(
      pcre2_match_context_create(nullptr), &pcre2_match_context_free);
  CHECK(data && context, "out of memory for a match");
  pcre2_set_match_limit(context.get(), kMaxSteps);
  pcre2_set_heap_limit(context.get(), kHeapLimitKiB);
  pcre2_set_callout(context.get(), count_steps, &steps);
  const int result = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                                 PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(), context.get());
  // An error is a limit, and the completion, which met it, must not gain by that.
  return result >= 0;
}

class RegexReward : public Reward {
 public:
  explicit RegexReward(const OptionReader& options) : answer_(options.word("part") == "answer"), code_(nullptr, &pcre2_code_free) {
    uint32_t flags = 0;
    if (options.word("mode") == "full") flags |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    if (options.word("case") == "insensitive") flags |= PCRE2_CASELESS;
    code_ = compile(options.text("pattern"), flags, options.reward());
  }

  std::optional<double> score(const RewardInput& input) const override {
    constexpr std::string_view kThought = "</think>";
    std::string_view text = input.completion;
    if (const size_t think = text.rfind(kThought); answer_ && think != std::string_view::npos)
      text.remove_prefix(think + kThought.size());
    return matches(code_.get(), to_valid_utf8(trim(text))) ? 1.0 : 0.0;
  }

 private:
  bool answer_;
  Code code_;
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
