// Text and numbers as Python 3 has them, for scorers that are to agree with ones written in it. All texts are UTF-8.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cohort::tasks {

// str.strip(): without white space at both ends, Unicode's included.
std::string_view strip(std::string_view text);
// len(text): code points.
size_t length(std::string_view text);
// str.lower(), but for the capital sigma, which is always σ here.
std::u32string lower(std::string_view text);

// float(text); nothing where Python raises. Digits of any script, single underscores between digits, inf and nan.
std::optional<double> parse_float(std::string_view text);
// Decimal(a) == Decimal(b), exactly; false where Python raises, and for NaN. Takes linear time, whatever the exponents.
bool same_decimal(std::string_view a, std::string_view b);

}  // namespace cohort::tasks
