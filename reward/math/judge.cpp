#include "reward/math/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "reward/math/extract.h"
#include "reward/math/letters.h"
#include "reward/math/parser.h"
#include "reward/math/readings.h"
#include "reward/math/remark.h"
#include "reward/math/words.h"
#include "reward/math/words_behind.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

constexpr size_t kShown = 80;

std::string shown(std::string_view text) {
  return fmt::format("'{}{}'", text.substr(0, kShown), text.size() > kShown ? "..." : "");
}

uint64_t seed_of(std::string_view gold) {
  uint64_t h = 14695981039346656037u;  // FNV-1a
  for (const char c : gold) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return h;
}

// Words that the grammar has no place for ("the 5th of June"): no commands, a run of letters.
bool is_words(std::string_view text) {
  if (text.find('\\') != std::string_view::npos || text.size() > 400) return false;
  size_t run = 0, longest = 0;
  for (const char c : text) longest = std::max(longest, run = is_letter(c) || is_wide(c) ? run + 1 : 0);
  return longest >= 3 && text.find_first_of("=<>^_{}") == std::string_view::npos;
}

Expr words(std::string_view text) { return node(Kind::kText, {}, std::string(text)); }

// "12 (approximately)" as what "about 12" is.
Parsed read(std::string_view text, Commas commas = Commas::kGroups) {
  const std::optional<std::string_view> value = before_near_words(text);
  Parsed parsed = parse_answer(value.value_or(text), commas);
  if (value && parsed.ok()) parsed.expr = as_near(std::move(parsed.expr));
  return parsed;
}

// A gold answer in brackets like (1,234) is a pair.
Commas gold_commas(std::string_view gold) {
  return gold.find_first_of("([{") == std::string_view::npos ? Commas::kGroups : Commas::kSeparators;
}

// Inside of brackets a comma stands between members, unless semicolons do: (1,5) is a pair, (1,5; 2) may begin with one and a half.
bool may_have_decimal_commas(std::string_view text) {
  const bool list = text.find_first_of("([") != text.npos || text.find("\\{") != text.npos || text.starts_with('{');
  return !list || text.find(';') != text.npos;
}

// Does the text stand between signs of a formula?
bool is_formula(std::string_view text) {
  text = trim(text);
  return text.starts_with('$') || text.starts_with("\\(") || text.starts_with("\\[");
}

// Equal, character by character, but for white space that parts no digits?
bool same_text(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (true) {
    const size_t a_before = i, b_before = j;
    while (i < a.size() && (a[i] == ' ' || a[i] == '\n')) ++i;
    while (j < b.size() && (b[j] == ' ' || b[j] == '\n')) ++j;
    if ((i > a_before) != (j > b_before) && a_before > 0 && i < a.size() && is_digit(a[a_before - 1]) && is_digit(a[i])) return false;
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (a[i++] != b[j++]) return false;
  }
}

class Check {
 public:
  Check(std::string_view gold, const JudgeOptions& options)
      : options_(options), text_(strip_wrapping(gold)), formula_(is_formula(gold)) {
    if (text_.empty()) {
      error_ = "it is empty";
      return;
    }
    label_ = read_label(text_);
    if (label_ && label_->rest.empty()) return;
    const std::string_view value = label_     ? std::string_view(label_->rest)
                                   : formula_ ? text_
                                              : without_remark(text_, options.compare, seed_of(text_));
    Parsed parsed = read(value, gold_commas(value));
    if (!time_of_day(value).empty())
      gold_ = words(value);
    else if (parsed.ok())
      gold_ = std::move(parsed.expr);
    else if (is_words(value))
      gold_ = words(value);
    else
      error_ = parsed.error;
  }

  const std::string& gold_error() const { return error_; }

  Verdict judge(std::string_view answer, std::string_view where, bool formula) const {
    const std::string_view text = strip_wrapping(answer);
    const std::string from = fmt::format("the answer {} ({})", shown(text), where);
    if (text.empty()) return {0.0, fmt::format("the answer ({}) is empty", where)};
    if (same_text(text, text_)) return {1.0, from + " is the gold's text"};
    // In a formula a space means nothing, and 2 (1 + 1) is a product.
    const std::optional<Label> label = read_label(text);
    const bool letter = label && label->rest.empty();  // "option (C)"
    const std::string_view plain = formula || letter ? text : without_remark(text, options_.compare, seed_of(text_));
    if (plain.size() < text.size()) return judge(plain, where, formula);
    if (label_) {
      if (label && label->letter == label_->letter && (label->rest.empty() || label_->rest.empty()))
        return {1.0, from + " chooses the gold's letter"};
      if (label_->rest.empty()) {
        if (text.size() == 1 && text[0] - 'a' + 'A' == label_->letter)
          return {1.0, from + " chooses the gold's letter"};
        return {0.0, from + " is not the choice " + label_->letter};
      }
      if (label && label->letter != label_->letter) return {0.0, from + " chooses another letter"};
    }
    if (text.size() > kMaxAnswerBytes) return {0.0, from + " is too long"};
    Verdict verdict = compare(text, from, formula);
    if (verdict.score != 1.0 && label && !label->rest.empty() && !label_) {
      const Verdict rest = compare(strip_wrapping(label->rest), from, formula);
      if (rest.score == 1.0) return rest;
    }
    return verdict;
  }

 private:
  Verdict compare(std::string_view text, const std::string& from, bool formula) const {
    const Expr* gold = gold_ ? &*gold_ : nullptr;
    if (!gold) return {0.0, from + " is not the choice " + label_->letter};
    // Words first: "Yes!" is no factorial. Two letters may be a product, where case matters.
    if (gold->is(Kind::kText) && gold->name.size() != 2) {
      const std::string said = normal_words(text);
      if (!said.empty() && said == normal_words(gold->name)) return {1.0, from + " says the gold's words"};
    }
    if (const std::string time = time_of_day(text_); !time.empty())
      return time == time_of_day(text) ? Verdict{1.0, from + " is the gold's time"} : Verdict{0.0, from + " is not the time " + time};
    const Parsed parsed = read(text);
    const std::vector<std::string> readings = other_readings(text, text_);
    if (!parsed.ok() && !parsed.ambiguous_commas && readings.empty()) return {0.0, from + " cannot be read: " + parsed.error};
    Truth truth = Truth::kNo;
    if (parsed.ok()) truth = equal(*gold, parsed.expr, formula);
    if (truth != Truth::kYes && parsed.ambiguous_commas) {
      for (const Commas commas : {Commas::kSeparators, Commas::kDecimal}) {
        if (commas == Commas::kDecimal && !may_have_decimal_commas(text)) continue;
        const Parsed other = read(text, commas);
        if (other.ok() && equal(*gold, other.expr, formula) == Truth::kYes) truth = Truth::kYes;
      }
    }
    for (const std::string& reading : readings) {
      const Parsed other = truth != Truth::kYes ? read(reading) : Parsed{.error = "not needed"};
      if (other.ok() && equal(*gold, other.expr, formula) == Truth::kYes) truth = Truth::kYes;
    }
    if (truth == Truth::kYes) return {1.0, from + " equals the gold " + to_text(*gold)};
    const std::string read = parsed.ok() ? fmt::format(", read as {},", to_text(parsed.expr)) : "";
    if (truth == Truth::kNo) return {0.0, from + read + " is not the gold " + to_text(*gold)};
    return {0.0, from + read + " could not be compared with the gold " + to_text(*gold) + " within the budgets"};
  }

  Truth equal(const Expr& gold, const Expr& answer, bool formula) const {
    Comparison comparison(options_.compare, seed_of(text_), formula_ || formula);
    return comparison.equal(gold, answer);
  }

  const JudgeOptions& options_;
  std::string_view text_;
  bool formula_;  // the gold stands between signs of a formula
  std::optional<Label> label_;
  std::optional<Expr> gold_;
  std::string error_;
};

Verdict unreadable(std::string_view gold, const std::string& error) {
  return {std::nullopt, fmt::format("the gold answer {} cannot be read: {}", shown(gold), error)};
}

}  // namespace

Verdict judge(std::string_view completion, std::string_view gold, const JudgeOptions& options) {
  const Extracted wanted = extract_gold(gold);
  const Check check(wanted.text, options);
  if (!check.gold_error().empty()) return unreadable(gold, check.gold_error());
  const Extracted found = extract_answer(completion, options.flexible);
  if (found.source == Source::kNone) return {0.0, "no answer was found"};
  return check.judge(found.text, source_name(found.source), found.formula || is_formula(found.text));
}

Verdict judge_answer(std::string_view answer, std::string_view gold, const JudgeOptions& options) {
  const Extracted wanted = extract_gold(gold);
  const Check check(wanted.text, options);
  if (!check.gold_error().empty()) return unreadable(gold, check.gold_error());
  return check.judge(answer, "as given", is_formula(answer));
}

}  // namespace cohort::math
