#include "reward/math/extract.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "reward/math/budget.h"
#include "reward/math/extract_text.h"
#include "reward/math/letters.h"
#include "reward/math/parser.h"
#include "reward/math/words.h"
#include "reward/math/words_before.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

constexpr int kMaxTries = 16;      // boxes without an end, phrases without an answer
constexpr size_t kMaxTail = 4096;  // what the flexible rules look at

struct Span {
  size_t begin, end;  // of the whole box
  std::string_view inner;
};

// The box whose backslash is at text[at].
std::optional<Span> box_at(std::string_view text, size_t at) {
  size_t i = at + (text.substr(at).starts_with("\\boxed") ? 6 : 5);
  if (i < text.size() && text[i] >= 'a' && text[i] <= 'z') return std::nullopt;  // another command
  while (i < text.size() && (text[i] == ' ' || text[i] == '\n')) ++i;
  if (i >= text.size()) return std::nullopt;
  if (text[i] != '{') {  // \boxed 5
    size_t end = i;
    while (end < text.size() && text[end] != '$' && text[end] != ' ' && text[end] != '\n' && text[end] != '.' &&
           text[end] != '\\')
      ++end;
    if (end == i) return std::nullopt;
    return Span{at, end, text.substr(i, end - i)};
  }
  size_t depth = 0;
  const size_t limit = std::min(text.size(), i + kMaxAnswerBytes);
  for (size_t k = i; k < limit; ++k) {
    if (text[k] == '\\')
      ++k;
    else if (text[k] == '{')
      ++depth;
    else if (text[k] == '}' && --depth == 0)
      return Span{at, k + 1, text.substr(i + 1, k - i - 1)};
  }
  return std::nullopt;
}

std::optional<Span> last_box(std::string_view text) {
  size_t before = text.size();
  for (int i = 0; i < kMaxTries && before > 0; ++i) {
    const size_t boxed = text.rfind("\\boxed", before - 1), fbox = text.rfind("\\fbox", before - 1);
    const size_t at = boxed == std::string_view::npos  ? fbox
                      : fbox == std::string_view::npos ? boxed
                                                       : std::max(boxed, fbox);
    if (at == std::string_view::npos) return std::nullopt;
    const std::optional<Span> box = box_at(text, at);
    if (box && !trim(box->inner).empty()) return box;
    before = at;
  }
  return std::nullopt;
}

// Is there nothing but "and", "or" and commas in `text`, and at least one of them?
bool connects(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kBlank = {" ", "$",       "\\(", "\\)",    "\\[", "\\]",
                                                              "*", "\\text{", "}",   "\\quad", "\\,", "\\ "};
  static constexpr std::array<std::string_view, 4> kWords = {"and", "or", ",", ";"};
  bool joined = false;
  if (text.size() > 60) return false;
  while (!text.empty()) {
    const auto starts = [&](std::string_view piece) {
      if (!text.starts_with(piece)) return false;
      text.remove_prefix(piece.size());
      return true;
    };
    if (std::ranges::any_of(kBlank, starts)) continue;
    if (!std::ranges::any_of(kWords, starts)) return false;
    joined = true;
  }
  return joined;
}

struct Found {
  Extracted answer;
  size_t at = 0;
  std::optional<std::string_view> elsewhere;  // where the answer is to be looked for instead, if the text says that this is none
  bool denied = false;                        // that is behind it
};

std::optional<Found> boxes(std::string_view text, bool is_gold) {
  std::optional<Span> box = last_box(text);
  // An empty box at the end is an answer that is none; one in the text speaks of boxes.
  if (const size_t end = text.find_last_not_of(" \n$*.)]\\"); end != text.npos && text[end] == '}')
    if (const size_t open = text.find_last_not_of(" \n", end - 1); end > 0 && open != text.npos && text[open] == '{')
      if (text.substr(0, open).ends_with("\\boxed") || text.substr(0, open).ends_with("\\fbox")) return Found{{"", Source::kBox}, open};
  if (!box) return std::nullopt;
  const size_t at = box->begin, end = box->end;
  const auto denied_at = [&](size_t begin) -> std::optional<Found> {
    const WordsBefore words = is_gold ? WordsBefore{} : words_before_box(text, begin);
    if (words.lead == Lead::kPassed) return Found{{}, at, text.substr(0, words.begin)};
    if (words.lead == Lead::kDenied) return Found{{}, at, text.substr(end), true};
    return std::nullopt;
  };
  if (taken_back(text.substr(end))) return Found{{}, at, text.substr(end), true};
  if (std::optional<Found> denied = denied_at(at)) return denied;
  std::string answer(box->inner);
  for (int i = 0; i < kMaxTries; ++i) {
    const std::optional<Span> earlier = last_box(text.substr(0, box->begin));
    if (!earlier || !connects(text.substr(earlier->end, box->begin - earlier->end))) break;
    answer = std::string(earlier->inner) + " , " + answer;
    box = earlier;
  }
  if (box->begin < at)
    if (std::optional<Found> denied = denied_at(box->begin)) return denied;
  return Found{{std::move(answer), Source::kBox}, at};
}

std::optional<Found> hashes(std::string_view text) {
  const size_t at = text.rfind("####");
  if (at == std::string_view::npos) return std::nullopt;
  size_t begin = at + 4;
  const std::string_view line = text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
  std::string_view answer = strip_wrapping(line);
  if (answer.size() > 4 && (answer.starts_with("Answer:") || answer.starts_with("answer:")))
    answer = strip_wrapping(answer.substr(7));
  // "#### Step 3: ..." is a heading.
  const bool heading =
      answer.size() > kMaxAnswerBytes || answer.empty() ||
      (answer.find_first_of("0123456789\\") == std::string_view::npos && answer.find(' ') != std::string_view::npos);
  if (heading || !parse_answer(answer).ok()) return std::nullopt;
  return Found{{std::string(answer), Source::kHashes}, at};
}

std::optional<std::string_view> tags(std::string_view text) {
  const size_t close = text.rfind("</answer>");
  if (close == std::string_view::npos) return std::nullopt;
  const size_t open = text.rfind("<answer>", close);
  if (open == std::string_view::npos) return std::nullopt;
  return text.substr(open + 8, close - open - 8);
}

std::optional<Found> marked(std::string_view text, bool is_gold = false) {
  std::optional<Found> box = boxes(text, is_gold), hash = hashes(text);
  if (box && hash) return box->at > hash->at ? box : hash;
  return box ? box : hash;
}

// The same; `text` becomes the part of it that is left to look at where nothing is marked, or is said to be no answer (`denied`).
std::optional<Extracted> take_marked(std::string_view& text, bool& denied) {
  denied = false;
  for (int i = 0; i < kMaxTries; ++i) {
    std::optional<Found> found = marked(text);
    if (!found) break;
    if (!found->elsewhere) return std::move(found->answer);
    text = *found->elsewhere;
    denied = found->denied;
  }
  return std::nullopt;
}

// `denied`: behind where the last phrase says what the answer is not, which then is not looked at by other rules; 0: it does not. What is said
// of a wrong answer is passed over, and denied where nothing is said of the right one.
std::optional<Extracted> phrase(std::string_view text, size_t& denied) {
  size_t before = text.size();
  denied = 0;
  for (int i = 0; i < kMaxTries; ++i) {
    Said spoken = Said::kIs;
    const std::optional<size_t> at = after_phrase(text, before, spoken);
    if (!at) return std::nullopt;
    if (spoken != Said::kIs) {
      const std::string_view sentence = text.substr(*at, sentence_end(text.substr(*at)));
      if (denied == 0) denied = *at + std::min({sentence.size(), sentence.find(';'), sentence.find(", ")});
      if (spoken == Said::kOther) continue;
      return std::nullopt;
    }
    const std::string_view said = text.substr(*at, kMaxAnswerBytes);
    std::string answer = statement(said);
    if (!answer.empty()) return Extracted{std::move(answer), Source::kPhrase, states_formula(said)};
  }
  return std::nullopt;
}

}  // namespace

const char* source_name(Source source) {
  switch (source) {
    case Source::kNone:
      return "nothing";
    case Source::kBox:
      return "the last box";
    case Source::kHashes:
      return "####";
    case Source::kTags:
      return "<answer>";
    case Source::kPhrase:
      return "\"answer is\"";
    case Source::kFormula:
      return "the last formula";
    case Source::kLast:
      return "the last number";
    case Source::kWhole:
      return "all of it";
  }
  return "";
}

namespace {

// Digits of full width, with the signs of their numbers, as those of ASCII; other text as it is.
std::string with_plain_digits(std::string_view text) {
  std::string out;
  bool behind = false;  // such a digit
  const auto wide_at = [&](size_t i) { return text.substr(i).starts_with("\xEF\xBC") && i + 2 < text.size() ? static_cast<unsigned char>(text[i + 2]) - 0x80 + 0x20 : 0; };
  for (size_t i = 0; i < text.size(); ++i) {
    const int c = wide_at(i);
    const bool digit = c >= '0' && c <= '9';
    if (digit || ((c == ',' || c == ':') && behind && is_digit(static_cast<char>(wide_at(i + 3)))) || (c != 0 && std::string_view("%+-./").find(static_cast<char>(c)) != std::string_view::npos)) {
      out += static_cast<char>(c);
      i += 2;
    } else {
      out += text[i];
    }
    behind = digit;
  }
  return out;
}

}  // namespace

Extracted extract_answer(std::string_view completion, bool flexible) {
  std::string plain;
  if (completion.find("\xEF\xBC") != std::string_view::npos) completion = plain = with_plain_digits(completion);
  const size_t think = completion.rfind("</think>");
  std::string_view text = think == std::string_view::npos ? completion : completion.substr(think + 8);
  size_t denied = 0;
  bool box_denied = false;
  if (std::optional<std::string_view> inner = tags(text)) {
    if (std::optional<Extracted> found = take_marked(*inner, box_denied)) return *found;
    if (std::optional<Extracted> found = phrase(*inner, denied)) return *found;
    if (box_denied) return {};
    return {std::string(strip_wrapping(*inner).substr(0, kMaxAnswerBytes)), Source::kTags};
  }
  if (std::optional<Extracted> found = take_marked(text, box_denied)) return *found;
  if (std::optional<Extracted> found = phrase(text, denied)) return *found;
  if (!flexible) return {};
  text.remove_prefix(denied);
  if (text.size() > kMaxTail) text.remove_prefix(text.size() - kMaxTail);
  return last_statement(text);
}

Extracted extract_gold(std::string_view gold) {
  if (std::optional<Found> found = marked(gold, /*is_gold=*/true)) return found->answer;
  if (const std::optional<std::string_view> inner = tags(gold)) return {std::string(trim(*inner)), Source::kTags};
  const std::string_view whole = trim(gold);
  if (whole.empty()) return {};
  return {std::string(whole), Source::kWhole};
}

}  // namespace cohort::math
