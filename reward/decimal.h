// Decimal numbers as people write them, compared exactly: "1,234.50" equals "1234.5", and no digit
// is lost in a float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cohort {

// value = 0.digits * 10^exponent. One form for each value, so that == is equality of numbers.
struct Decimal {
  bool negative = false;
  std::string digits;    // no zero at either end; "" is the number zero
  int64_t exponent = 0;  // 0 for zero
  bool operator==(const Decimal&) const = default;
};

// A number is digits, in groups of three by commas ("1,234,567") or in one run, then perhaps a
// decimal point with digits behind it, then perhaps an exponent ("1.5e-3"); or a point with digits
// alone (".5"). A point that ends a sentence is not part of it. '-' or U+2212 directly before it is
// its sign, unless that stands directly after a digit, an ASCII letter or a closing bracket: there
// it subtracts ("5-3") or joins ("top-10").

// `text` without spaces around it, if that is one number with an optional sign (also '+'), else
// nothing.
std::optional<Decimal> parse_decimal(std::string_view text);

// Where the sign of a number at text[begin] stands; `begin` if it has none.
size_t sign_of_number(std::string_view text, size_t begin);

// The last number in running text; nothing when there is none. Linear in the text, whatever it is.
std::optional<Decimal> last_decimal(std::string_view text);

}  // namespace cohort
