#include "reward/math/number_text.h"

#include <array>
#include <string>

#include "reward/math/budget.h"
#include "reward/math/letters.h"

namespace cohort::math {
namespace {

constexpr size_t kMaxDigits = 4000;

bool digit_at(std::string_view text, size_t at) { return at < text.size() && is_digit(text[at]); }

size_t skip_digits(std::string_view text, size_t at) {
  while (digit_at(text, at)) ++at;
  return at;
}

// Are exactly three digits at text[at]?
bool three_at(std::string_view text, size_t at) {
  return digit_at(text, at) && digit_at(text, at + 1) && digit_at(text, at + 2) && !digit_at(text, at + 3);
}

// Behind a separator of groups other than ',' and '.', or `at` when there is none.
size_t skip_group_space(std::string_view text, size_t at) {
  static constexpr std::array<std::string_view, 10> kSpaces = {
      ",\\! ", "{,}", "\\,", "\\!", "{\\,}", ",\\!", "\xE2\x80\x89", "\xE2\x80\xAF", "\xC2\xA0", " "};
  for (const std::string_view space : kSpaces)
    if (text.substr(at).starts_with(space)) return at + space.size();
  return at;
}

struct Digits {
  std::string integer, fraction, repeating;
  size_t end = 0;
  bool ambiguous = false;
};

// The integer part with its groups.
void read_integer(std::string_view text, size_t at, Commas commas, Digits& d) {
  size_t end = skip_digits(text, at);
  d.integer = std::string(text.substr(at, end - at));
  const bool may_group = !d.integer.empty() && d.integer.size() <= 3 && d.integer[0] != '0';
  while (may_group && end < text.size()) {
    size_t next = end;
    if (text[end] == ',' && three_at(text, end + 1)) {
      d.ambiguous = true;
      if (commas == Commas::kSeparators) break;
      next = end + 1;
    } else {
      next = skip_group_space(text, end);
      if (next == end || !three_at(text, next)) break;
      // "3 125/1000" is a mixed number, and "2 100" in a list of numbers cannot be told apart: a space groups only
      // where no fraction follows.
      if (next == end + 1 && next + 3 < text.size() && text[next + 3] == '/') break;
    }
    d.integer += text.substr(next, 3);
    end = next + 3;
  }
  d.end = end;
}

// "1.234.567" or "1.234,56" from text[at]: groups by points, which only a continental writer makes.
bool read_continental(std::string_view text, size_t at, Digits& d) {
  size_t end = skip_digits(text, at);
  if (end == at || end - at > 3 || text[at] == '0') return false;
  std::string integer(text.substr(at, end - at));
  int groups = 0;
  while (end < text.size() && text[end] == '.' && three_at(text, end + 1)) {
    integer += text.substr(end + 1, 3);
    end += 4;
    ++groups;
  }
  const bool decimal = end < text.size() && text[end] == ',' && digit_at(text, end + 1);
  if (groups == 0 || (groups == 1 && !decimal)) return false;
  d.integer = std::move(integer);
  if (decimal) {
    const size_t stop = skip_digits(text, end + 1);
    d.fraction = std::string(text.substr(end + 1, stop - end - 1));
    end = stop;
  }
  d.end = end;
  return true;
}

// 0.\dot{1}4285\dot{7}: from the first dot to the last.
bool read_dotted(std::string_view text, Digits& d) {
  const auto dotted = [&](size_t at) { return text.substr(at).starts_with("\\dot{") && digit_at(text, at + 5) && text.substr(at + 6).starts_with("}"); };
  if (!dotted(d.end)) return false;
  std::string digits(1, text[d.end + 5]);
  size_t end = d.end + 7;
  const size_t stop = skip_digits(text, end);
  if (dotted(stop)) {
    digits += text.substr(end, stop - end);
    digits += text[stop + 5];
    end = stop + 7;
  }
  d.repeating = std::move(digits);
  d.end = end;
  return true;
}

// The digits under a bar, between dots or in brackets behind the point, which repeat.
bool read_bar(std::string_view text, Digits& d) {
  if (read_dotted(text, d)) return true;
  static constexpr std::array<std::string_view, 5> kBars = {"\\overline{", "\\bar{", "\\overline ", "\\bar ", "("};
  for (const std::string_view bar : kBars) {
    if (!text.substr(d.end).starts_with(bar)) continue;
    const size_t begin = d.end + bar.size(), stop = skip_digits(text, begin);
    if (stop == begin) return false;
    if (bar.back() == ' ') {
      d.repeating = std::string(text.substr(begin, 1));
      d.end = begin + 1;
      return true;
    }
    if (stop == text.size() || text[stop] != (bar.back() == '(' ? ')' : '}')) return false;
    d.repeating = std::string(text.substr(begin, stop - begin));
    d.end = stop + 1;
    return true;
  }
  if (text.substr(d.end).starts_with("\\bar") && digit_at(text, d.end + 4)) {
    d.repeating = std::string(text.substr(d.end + 4, 1));
    d.end += 5;
    return true;
  }
  return false;
}

// "0.333..." or "0.1212...": the shortest block that ends the fraction at least twice (a single digit: three times).
void read_dots(std::string_view text, Digits& d) {
  static constexpr std::array<std::string_view, 5> kDots = {"...", "\xE2\x80\xA6", "\\ldots", "\\dots", "\\cdots"};
  for (const std::string_view dots : kDots) {
    if (!text.substr(d.end).starts_with(dots)) continue;
    const std::string& f = d.fraction;
    for (size_t n = 1; 2 * n <= f.size() && n <= 12; ++n) {
      const size_t times = n == 1 ? 3 : 2;
      if (times * n > f.size()) continue;
      const std::string block = f.substr(f.size() - n);
      bool repeats = true;
      for (size_t k = 2; k <= times; ++k) repeats = repeats && f.compare(f.size() - k * n, n, block) == 0;
      if (!repeats) continue;
      d.repeating = block;
      d.end += dots.size();
      return;
    }
  }
}

void read_fraction(std::string_view text, Commas commas, Digits& d) {
  if (d.end >= text.size()) return;
  if ((text.substr(d.end).starts_with("{.}") || text.substr(d.end).starts_with("{,}")) && digit_at(text, d.end + 3)) {  // 0{.}5
    const size_t stop = skip_digits(text, d.end + 3);
    d.fraction = std::string(text.substr(d.end + 3, stop - d.end - 3));
    d.end = stop;
    return;
  }
  const bool comma = text[d.end] == ',' && commas == Commas::kDecimal;
  if (text[d.end] == ',' && digit_at(text, d.end + 1)) d.ambiguous = true;
  if (text[d.end] != '.' && !comma) return;
  const bool bar = !digit_at(text, d.end + 1);
  const size_t stop = skip_digits(text, d.end + 1);
  const size_t before = d.end;
  d.fraction = std::string(text.substr(d.end + 1, stop - d.end - 1));
  d.end = stop;
  if (!read_bar(text, d)) {
    if (bar) {
      d.end = before;  // a full stop
      return;
    }
    if (!comma) read_dots(text, d);
  }
}

// "e-3" behind the digits.
int64_t read_exponent(std::string_view text, size_t& end) {
  if (end >= text.size() || (text[end] != 'e' && text[end] != 'E')) return 0;
  size_t at = end + 1;
  const bool negative = at < text.size() && text[at] == '-';
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  const size_t stop = skip_digits(text, at);
  if (stop == at || stop - at > 9) return 0;
  int64_t exponent = 0;
  for (size_t i = at; i < stop; ++i) exponent = 10 * exponent + (text[i] - '0');
  end = stop;
  return negative ? -exponent : exponent;
}

}  // namespace

mpz_class power_of_ten(unsigned n) {
  mpz_class power;
  mpz_ui_pow_ui(power.get_mpz_t(), 10, n);
  return power;
}

bool literal_at(std::string_view text, size_t at) {
  return digit_at(text, at) || (at < text.size() && text[at] == '.' && digit_at(text, at + 1));
}

std::optional<Literal> read_literal(std::string_view text, size_t at, Commas commas) {
  Digits d;
  if (commas == Commas::kSeparators || !read_continental(text, at, d)) {
    read_integer(text, at, commas, d);
    read_fraction(text, commas, d);
  }
  Literal literal{.end = d.end, .ambiguous = d.ambiguous};
  literal.power_of_ten = read_exponent(text, literal.end);
  const std::string digits = d.integer + d.fraction;
  if (digits.size() + d.repeating.size() > kMaxDigits) return std::nullopt;
  literal.decimals = static_cast<int>(d.fraction.size());
  literal.value = mpz_class(digits.empty() ? "0" : digits, 10);
  if (!d.fraction.empty()) {
    literal.value /= power_of_ten(static_cast<unsigned>(d.fraction.size()));
  }
  if (!d.repeating.empty()) {  // 0.000(ab) = ab / (10^n (10^r - 1))
    mpq_class tail{mpz_class(d.repeating, 10)};
    tail /= power_of_ten(static_cast<unsigned>(d.repeating.size())) - 1;
    tail /= power_of_ten(static_cast<unsigned>(d.fraction.size()));
    literal.value += tail;
    literal.decimals = 0;
  }
  return literal;
}

}  // namespace cohort::math
