#include "reward/math/remark.h"

#include <algorithm>
#include <array>
#include <optional>

#include "reward/math/budget.h"
#include "reward/math/letters.h"
#include "reward/math/parser.h"
#include "reward/math/units.h"
#include "reward/math/words.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

struct Parts {
  std::string_view value;
  std::string remark;
};

// What stands in brackets and \text{...}, without its end.
std::string in_plain_words(std::string_view inside) {
  std::string out;
  for (size_t i = 0; i < inside.size(); ++i)
    if (inside.substr(i).starts_with("\\text{")) i += 5;
    else if (inside[i] != '}' && (inside[i] != ')' || inside.find_last_not_of(")} ") > i)) out += inside[i];
  return std::string(trim(out));
}

// The brackets that the text ends with, and what stands before them.
std::optional<Parts> parts_of(std::string_view text) {
  if (text.size() > kMaxAnswerBytes || text.size() < 4) return std::nullopt;
  if (const size_t words = text.find("\\text{"); words != std::string_view::npos && words > 0 && (text.ends_with(')') || text.ends_with(")}"))) {
    // 32 \text{ (since } 30 + 2 = 32)
    const std::string_view inside = trim(text.substr(words + 6));
    if (inside.starts_with('(') && inside.size() > 1 && is_letter(trim(inside.substr(1)).front()))
      return Parts{trim(text.substr(0, words)), in_plain_words(inside.substr(1))};
  }
  const char close = text.back(), open = close == ')' ? '(' : '[';
  if ((close != ')' && close != ']') || text[text.size() - 2] == '\\' || text.ends_with("\\right)") || text.ends_with("\\right]")) return std::nullopt;
  int depth = 0;
  for (size_t at = text.size(); at-- > 0;) {
    depth += (text[at] == close) - (text[at] == open);
    if (depth > 0) continue;
    if (at == 0 || !is_space(text[at - 1])) return std::nullopt;
    const Parts parts{trim(text.substr(0, at)), std::string(trim(text.substr(at + 1, text.size() - at - 2)))};
    if (parts.value.empty() || parts.remark.empty()) return std::nullopt;
    return parts;
  }
  return std::nullopt;
}

// Takes one of `words` off the front of `text`.
template <size_t N>
bool take(std::string_view& text, const std::array<std::string_view, N>& words) {
  for (const std::string_view word : words) {
    if (!text.starts_with(word) || (is_letter(word.back()) && text.size() > word.size() && is_letter(text[word.size()]))) continue;
    text = trim(text.substr(word.size()));
    return true;
  }
  return false;
}

// Whether the two trees say one value; of words, that they are a number's.
bool same_value(const Expr& a, const Expr& b, const CompareOptions& options, uint64_t seed) {
  return Comparison(options, seed).equal(a, b) == Truth::kYes;
}

bool is_remark(std::string_view text, const Parts& parts, const CompareOptions& options, uint64_t seed) {
  static constexpr std::array<std::string_view, 7> kAgain = {"or", "i.e.,", "i.e.", "that is,", "that is", "=", "equivalently"};
  static constexpr std::array<std::string_view, 3> kAbout = {"approx.", "\\approx", "\u2248"};
  static constexpr std::array<std::string_view, 4> kOther = {"not", "and not", "rather than", "instead of"};
  const Parsed value = parse_answer(parts.value);
  if (!value.ok()) return false;
  const std::string plain = parts.remark.find("\\text") == std::string::npos ? parts.remark : in_plain_words(parts.remark);
  std::string_view said = plain;
  if (std::string_view other = said; take(other, kOther)) {  // 37 (not 38)
    const Parsed denied = parse_answer(other);
    if (denied.ok() && !denied.expr.is(Kind::kText) && !has_symbols(denied.expr))
      return !has_symbols(value.expr) && !same_value(value.expr, denied.expr, options, seed);
  }
  if (hedges(said)) return false;
  const bool again = take(said, kAgain);
  if (take(said, kAbout) || take(said, kNearWords)) return !said.empty();  // of "12 (approximately)" it is no other value
  const Parsed remark = parse_answer(said);
  if (remark.ok() && !remark.expr.is(Kind::kText)) {
    if (!again && remark.expr.is(Kind::kUnit) && (" " + remark.expr.name + " ").find(" each ") != std::string::npos) return true;  // 70 (35 of each)
    const bool letter = said.size() == 1 && said[0] >= 'A' && said[0] <= 'J' && !again;
    if (has_symbols(value.expr)) return again && same_value(value.expr, remark.expr, options, seed);
    return letter || same_value(value.expr, remark.expr, options, seed);
  }
  if (remark.ok() && same_value(value.expr, remark.expr, options, seed)) return true;  // "5 (five)"
  return !again && (remark.ok() || !parse_answer(text).ok() || parts.remark != plain);
}

}  // namespace

std::string_view without_remark(std::string_view text, const CompareOptions& options, uint64_t seed) {
  const std::optional<Parts> parts = parts_of(text);
  return parts && is_remark(text, *parts, options, seed) ? parts->value : text;
}

}  // namespace cohort::math
