#include "reward/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <vector>

#include "core/check.h"

namespace cohort {
namespace {

constexpr size_t kMaxPatternBytes = 16384, kMaxItemBytes = 1024;
constexpr uint32_t kMaxNesting = 50, kMaxLookbehind = 255, kHeapLimitKiB = 65536;
// PCRE2 counts its own limit anew at each place where a match could begin, and a run that one item takes as nothing. So the
// steps are counted by callouts, of which there is one before each item of the pattern: one, one for each byte on the way
// since the last, and what the item may take without a callout behind it, because it fails.
constexpr int64_t kBytesOfStep = 8;       // that an item passes, or groups that a step copies, in the time of a callout
constexpr int64_t kTextOfStep = 64;       // bytes of an item, such as a long class, that are looked through for one character

// What is known of an item of the pattern.
struct Item {
  int64_t weight = 1;      // of a character
  int64_t repeats = 0;     // the fewest that it asks for: 20 of \w{20,60}
  bool reference = false;  // to what a group holds
};

Item read_item(std::string_view text) {
  constexpr std::string_view kReferences = "0123456789gk", kNoCounts = "xopPNgku";  // \x{100} is no count
  const auto escape = [&](size_t i, std::string_view letters) {
    return i + 1 < text.size() && text[i] == '\\' && letters.find(text[i + 1]) != std::string_view::npos;
  };
  Item item{.weight = 1 + static_cast<int64_t>(text.size()) / kTextOfStep, .reference = text.starts_with("(?P=") || escape(0, kReferences)};
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{' || (i > 1 && escape(i - 2, kNoCounts))) continue;
    int64_t number = 0;
    for (size_t k = i + 1; k < text.size() && std::isdigit(static_cast<unsigned char>(text[k])) && number < 65536; ++k)
      number = number * 10 + text[k] - '0';
    item.repeats = std::max(item.repeats, number);
  }
  return item;
}

using Code = std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)>;

Code compile(const std::string& pattern, uint32_t options, const std::string& who) {
  CHECK_USAGE(pattern.size() <= kMaxPatternBytes, "{}: a pattern of {} bytes; allowed are {}", who, pattern.size(),
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
  CHECK_USAGE(code, "{}: the pattern {} does not compile: {} at byte {}", who, pattern,
              reinterpret_cast<const char*>(message), offset);
  return code;
}


// \X looks back over all of a run of flags for each of them, within one item.
std::vector<Item> read_items(const std::string& text, const Code& code, const std::string& who) {
  std::vector<Item> items(text.size() + 1);
  struct Reading {
    std::string_view text;
    std::vector<Item>& items;
    bool clusters = false;
    size_t longest = 0;
  } reading{text, items};
  const auto each = [](pcre2_callout_enumerate_block* block, void* data) {
    Reading& reading = *static_cast<Reading*>(data);
    const std::string_view item = reading.text.substr(block->pattern_position, block->next_item_length);
    reading.longest = std::max(reading.longest, item.size());
    reading.clusters |= item.starts_with("\\X");
    reading.items[block->pattern_position] = read_item(item);
    return 0;
  };
  CHECK(pcre2_callout_enumerate(code.get(), each, &reading) == 0, "the items of a pattern cannot be listed");
  CHECK_USAGE(reading.longest <= kMaxItemBytes, "{}: the pattern has an item, such as a class, of {} bytes; allowed are {}", who,
              reading.longest, kMaxItemBytes);
  uint32_t behind = 0;
  CHECK(pcre2_pattern_info(code.get(), PCRE2_INFO_MAXLOOKBEHIND, &behind) == 0, "nothing is known of a pattern");
  CHECK_USAGE(behind <= kMaxLookbehind, "{}: the pattern looks back over {} characters; allowed are {}", who, behind, kMaxLookbehind);
  CHECK_USAGE(!reading.clusters, "{}: the pattern {} has \\X, of which the time cannot be bounded; write \\P{{M}}\\p{{M}}*", who, text);
  return items;
}

struct Steps {
  const std::vector<Item>& items;
  int64_t most;
  int64_t count = 0, place = 0, weight = 1;
};

int64_t longest_capture(const pcre2_callout_block& block) {
  int64_t longest = 0;
  for (uint32_t group = 1; group < block.capture_top; ++group) {
    const PCRE2_SIZE begin = block.offset_vector[2 * group], end = block.offset_vector[2 * group + 1];
    if (begin != PCRE2_UNSET && end != PCRE2_UNSET && end > begin) longest = std::max(longest, static_cast<int64_t>(end - begin));
  }
  return longest;
}

int count_steps(pcre2_callout_block* block, void* data) {
  Steps& steps = *static_cast<Steps*>(data);
  const Item& item = steps.items[block->pattern_position];
  const auto place = static_cast<int64_t>(block->current_position), rest = static_cast<int64_t>(block->subject_length) - place;
  const int64_t within = std::min(rest, item.reference ? longest_capture(*block) * std::max<int64_t>(1, item.repeats) : item.repeats);
  steps.count += item.weight + std::abs(place - steps.place) * steps.weight + (within * item.weight + block->capture_top) / kBytesOfStep;
  steps.place = place, steps.weight = item.weight;
  return steps.count > steps.most ? PCRE2_ERROR_MATCHLIMIT : 0;
}

}  // namespace

struct Pattern::Compiled {
  Code code;
  std::vector<Item> items;  // by their places in the pattern
};

Pattern::Pattern(const std::string& text, const Form& form, const std::string& who) {
  uint32_t options = form.whole ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0;
  if (form.caseless) options |= PCRE2_CASELESS;
  if (form.strict_end) options |= PCRE2_DOLLAR_ENDONLY;
  Code code = compile(text, options, who);
  std::vector<Item> items = read_items(text, code, who);
  compiled_ = std::make_unique<Compiled>(Compiled{std::move(code), std::move(items)});
}

Pattern::Pattern(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Pattern::Match Pattern::match(std::string_view text, int64_t& steps) const { return run(text, 0, 0, steps).match; }

Pattern::Found Pattern::find(std::string_view text, size_t from, int64_t& steps) const { return run(text, from, PCRE2_NOTEMPTY, steps); }

// By the interpreter and not by compiled code, which counts otherwise.
Pattern::Found Pattern::run(std::string_view text, size_t from, uint32_t options, int64_t& steps) const {
  Steps counted{.items = compiled_->items, .most = steps, .place = static_cast<int64_t>(from)};
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(pcre2_match_data_create(1, nullptr),
                                                                                 &pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context(
      pcre2_match_context_create(nullptr), &pcre2_match_context_free);
  CHECK(data && context, "out of memory for a match");
  pcre2_set_match_limit(context.get(), kMaxPatternSteps);
  pcre2_set_heap_limit(context.get(), kHeapLimitKiB);
  pcre2_set_callout(context.get(), count_steps, &counted);
  const int result = pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                 options | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(), context.get());
  steps -= std::min(steps, counted.count);
  if (result < 0) return {.match = result == PCRE2_ERROR_NOMATCH ? Match::no : Match::unknown};
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
  return {.match = Match::yes, .begin = ends[0], .end = ends[1]};
}

}  // namespace cohort
