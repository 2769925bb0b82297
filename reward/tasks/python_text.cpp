#include "reward/tasks/python_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "core/text.h"

namespace cohort::tasks {
namespace {

// The zero of each script's decimal digits (category Nd); the other nine follow it.
constexpr std::array<char32_t, 66> kZeros = {
    0x30,    0x660,   0x6f0,   0x7c0,   0x966,   0x9e6,   0xa66,   0xae6,   0xb66,   0xbe6,   0xc66,
    0xce6,   0xd66,   0xde6,   0xe50,   0xed0,   0xf20,   0x1040,  0x1090,  0x17e0,  0x1810,  0x1946,
    0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,  0xa8d0,  0xa900,  0xa9d0,
    0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60,
    0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0};

// str.isspace()
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// Digits of other scripts become ASCII's. Nothing for other characters beyond ASCII.
std::optional<std::string> ascii_number(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c < 0x80) {
      out += static_cast<char>(c);
      continue;
    }
    const auto above = std::ranges::upper_bound(kZeros, c);
    if (c - *(above - 1) > 9) return std::nullopt;
    out += static_cast<char>('0' + (c - *(above - 1)));
  }
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string ascii_lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// [+-] (digits [. digits] | . digits) [e [+-] digits], lower case.
struct Parts {
  bool negative = false;
  std::string_view whole, fraction, exponent;  // exponent with its sign
};
std::optional<Parts> split_number(std::string_view text) {
  Parts parts;
  const auto sign = [&] {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    return negative;
  };
  const auto digits = [&] {
    const auto count = static_cast<size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
    const std::string_view found = text.substr(0, count);
    text.remove_prefix(count);
    return found;
  };
  parts.negative = sign();
  parts.whole = digits();
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    parts.fraction = digits();
  }
  if (parts.whole.empty() && parts.fraction.empty()) return std::nullopt;
  if (text.starts_with('e')) {
    text.remove_prefix(1);
    const std::string_view from = text;
    sign();
    if (digits().empty()) return std::nullopt;
    parts.exponent = from.substr(0, from.size() - text.size());
  }
  if (!text.empty()) return std::nullopt;
  return parts;
}

// A number is 0.digits * 10^exponent; no digits: zero.
struct PythonDecimal {
  enum class Kind { finite, infinite, nan } kind = Kind::finite;
  bool negative = false;
  std::string digits;  // first and last are not 0
  int64_t exponent = 0;
};

constexpr int64_t kMaxExponent = 999'999'999'999'999'999;  // of decimal.Decimal

// Nothing where Decimal(text) raises.
std::optional<PythonDecimal> parse_python_decimal(std::string_view raw) {
  std::optional<std::string> text = ascii_number(strip(raw));
  if (!text) return std::nullopt;
  std::erase(*text, '_');
  *text = ascii_lower(*text);
  PythonDecimal number;
  std::string_view rest = *text;
  number.negative = rest.starts_with('-');
  if (number.negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "inf" || rest == "infinity") return number.kind = PythonDecimal::Kind::infinite, number;
  for (const std::string_view name : {"nan", "snan"}) {
    if (!rest.starts_with(name)) continue;
    number.kind = PythonDecimal::Kind::nan;
    return std::ranges::all_of(rest.substr(name.size()), is_digit) ? std::optional(number) : std::nullopt;
  }
  const std::optional<Parts> parts = split_number(*text);
  if (!parts) return std::nullopt;
  int64_t exponent = 0;
  if (!parts->exponent.empty()) {
    std::string_view digits = parts->exponent;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (read.ec != std::errc() || exponent > kMaxExponent || exponent < -kMaxExponent) return std::nullopt;
  }
  number.digits = std::string(parts->whole) + std::string(parts->fraction);
  number.exponent = exponent + static_cast<int64_t>(parts->whole.size());
  const size_t first = number.digits.find_first_not_of('0');
  if (first == std::string::npos) return PythonDecimal{};  // -0 = 0
  number.digits = number.digits.substr(first, number.digits.find_last_not_of('0') + 1 - first);
  number.exponent -= static_cast<int64_t>(first);
  return number;
}

}  // namespace

std::string_view strip(std::string_view text) {
  size_t begin = 0, end = 0;
  bool started = false;
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    if (is_space(next_code_point(text, at))) continue;
    if (!started) begin = from;
    started = true;
    end = at;
  }
  return text.substr(begin, end - begin);
}

size_t length(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::u32string lower(std::string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == 0x130) {  // the one capital whose small letter is two code points
      out += U"i\u0307";
    } else {
      out += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    }
  }
  return out;
}

std::optional<double> parse_float(std::string_view raw) {
  // float() takes these four ASCII separators for no white space, unlike str.strip().
  const std::string_view stripped = strip(raw);
  const auto odd = [](char c) { return c >= 0x1c && c <= 0x1f; };
  if (std::ranges::any_of(raw, odd)) return std::nullopt;
  std::optional<std::string> text = ascii_number(stripped);
  if (!text) return std::nullopt;
  *text = ascii_lower(*text);
  for (size_t i = 0; i < text->size(); ++i) {
    if ((*text)[i] != '_') continue;
    if (i == 0 || i + 1 == text->size() || !is_digit((*text)[i - 1]) || !is_digit((*text)[i + 1])) return std::nullopt;
  }
  std::erase(*text, '_');
  std::string_view rest = *text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  const double sign = negative ? -1.0 : 1.0;
  if (rest == "inf" || rest == "infinity") return sign * std::numeric_limits<double>::infinity();
  if (rest == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (!split_number(*text)) return std::nullopt;
  double value = 0;
  const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (read.ec == std::errc::result_out_of_range) value = std::strtod(rest.data(), nullptr);  // 0 or infinity
  return sign * value;
}

bool same_decimal(std::string_view a, std::string_view b) {
  const std::optional<PythonDecimal> x = parse_python_decimal(a), y = parse_python_decimal(b);
  if (!x || !y || x->kind != y->kind || x->kind == PythonDecimal::Kind::nan) return false;
  return x->negative == y->negative && x->digits == y->digits && x->exponent == y->exponent;
}

}  // namespace cohort::tasks
