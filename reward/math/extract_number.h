// The last number of a running text, with what belongs to it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace cohort::math {

struct NumberRun {
  size_t begin, end;
};

// With its sign, fraction, percent and currency; with roots, powers and pi ("6 + 2√5", "36π"), a factorial that does not end a sentence, a word
// such as "million", a relation before it ("x > 5"), the bracket of a tuple or an interval, or as what a remark in brackets is about
// ("42 (40 + 2)"). The exponent of a unit is no number. Linear in the text.
std::optional<NumberRun> last_number(std::string_view text);

}  // namespace cohort::math
