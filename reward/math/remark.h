// Remarks in brackets behind an answer: "42 (40 + 2)", "1/2 (0.5)", "5 km (5000 m)", "12 (rounded down)".
#pragma once

#include <string_view>

#include "reward/math/compare.h"

namespace cohort::math {

// `text` without brackets at its end that white space parts from a whole answer and that say the same value in another way (with or without
// "or", "i.e.", "="), an approximation ("about 1.414"), the letter of a choice behind a number, or words. Brackets with another value are no
// remark, and a factor of a product that has symbols is none: 42 (43) and x (x) stay as they are. Pure, within the budgets of a comparison.
std::string_view without_remark(std::string_view text, const CompareOptions& options, uint64_t seed);

}  // namespace cohort::math
