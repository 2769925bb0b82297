#include "reward/decimal.h"

#include "reward/options.h"

namespace cohort {
namespace {

constexpr std::string_view kMinus = "\xE2\x88\x92";  // U+2212
constexpr size_t kMaxExponentDigits = 9;  // more could not be told apart in an int64_t sum

// Where the parts of an unsigned number stand in the text. The fraction is without its point.
struct Literal {
  size_t begin, integer_end, fraction_begin, end_of_fraction, end;
  int64_t exponent;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool digit_at(std::string_view text, size_t at) { return at < text.size() && is_digit(text[at]); }

size_t skip_digits(std::string_view text, size_t at) {
  while (digit_at(text, at)) ++at;
  return at;
}

// A ',' with exactly three digits behind it.
bool group_at(std::string_view text, size_t at) {
  return at < text.size() && text[at] == ',' && digit_at(text, at + 1) && digit_at(text, at + 2) &&
         digit_at(text, at + 3) && !digit_at(text, at + 4);
}

bool starts_at(std::string_view text, size_t at) {
  if (is_digit(text[at])) return true;
  if (text[at] != '.' || !digit_at(text, at + 1)) return false;
  // "1.2.3", "fig.5" and "...5" have no number ".3" or ".5".
  return at == 0 || !(is_digit(text[at - 1]) || is_letter(text[at - 1]) || text[at - 1] == '.');
}

// Needs starts_at(text, at). Looks at most a few bytes behind the literal's end.
Literal read_literal(std::string_view text, size_t at) {
  Literal n{.begin = at};
  n.integer_end = skip_digits(text, at);
  const bool may_group = n.integer_end > at && n.integer_end - at <= 3 && text[at] != '0';
  while (may_group && group_at(text, n.integer_end)) n.integer_end += 4;
  n.fraction_begin = n.end_of_fraction = n.integer_end;
  if (n.integer_end < text.size() && text[n.integer_end] == '.' &&
      digit_at(text, n.integer_end + 1)) {
    n.fraction_begin = n.integer_end + 1;
    n.end_of_fraction = skip_digits(text, n.fraction_begin);
  }
  n.end = n.end_of_fraction;
  if (n.end < text.size() && (text[n.end] == 'e' || text[n.end] == 'E')) {
    size_t digits = n.end + 1;
    const bool negative = digits < text.size() && text[digits] == '-';
    if (digits < text.size() && (text[digits] == '-' || text[digits] == '+')) ++digits;
    size_t end = digits;
    while (digit_at(text, end) && end - digits <= kMaxExponentDigits) ++end;
    if (end > digits && end - digits <= kMaxExponentDigits) {
      for (size_t i = digits; i < end; ++i) n.exponent = 10 * n.exponent + (text[i] - '0');
      if (negative) n.exponent = -n.exponent;
      n.end = end;
    }
  }
  return n;
}

Decimal decimal_of(std::string_view text, const Literal& n, bool negative) {
  Decimal d{.negative = negative};
  for (size_t i = n.begin; i < n.integer_end; ++i)
    if (text[i] != ',') d.digits += text[i];
  d.exponent = n.exponent + static_cast<int64_t>(d.digits.size());
  d.digits += text.substr(n.fraction_begin, n.end_of_fraction - n.fraction_begin);
  const size_t first = d.digits.find_first_not_of('0');
  if (first == std::string::npos) return {};
  d.exponent -= static_cast<int64_t>(first);
  d.digits = d.digits.substr(first, d.digits.find_last_not_of('0') + 1 - first);
  return d;
}

}  // namespace

size_t sign_of_number(std::string_view text, size_t begin) {
  const std::string_view before = text.substr(0, begin);
  size_t sign = begin;
  if (before.ends_with('-')) sign = begin - 1;
  if (before.ends_with(kMinus)) sign = begin - kMinus.size();
  if (sign == begin || sign == 0) return sign;
  const char c = text[sign - 1];
  return is_digit(c) || is_letter(c) || c == ')' || c == ']' || c == '}' ? begin : sign;
}

std::optional<Decimal> parse_decimal(std::string_view text) {
  text = trim(text);
  bool negative = false;
  if (text.starts_with('-') || text.starts_with('+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  } else if (text.starts_with(kMinus)) {
    negative = true;
    text.remove_prefix(kMinus.size());
  }
  if (text.empty() || !starts_at(text, 0)) return std::nullopt;
  const Literal literal = read_literal(text, 0);
  if (literal.end != text.size()) return std::nullopt;
  return decimal_of(text, literal, negative);
}

std::optional<Decimal> last_decimal(std::string_view text) {
  std::optional<Literal> last;
  for (size_t at = 0; at < text.size();) {
    if (starts_at(text, at)) {
      last = read_literal(text, at);
      at = last->end;
    } else {
      ++at;
    }
  }
  if (!last) return std::nullopt;
  return decimal_of(text, *last, sign_of_number(text, last->begin) < last->begin);
}

}  // namespace cohort
