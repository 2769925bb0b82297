// What stands directly behind a value and makes it near to the answer, or none: "12 (approximately)", "12 or so", "12 or more", "7 + 5 =".
#pragma once

#include <optional>
#include <string_view>

#include "reward/math/expr.h"

namespace cohort::math {

// The value in front of words at the end of `text` that make it near, in brackets and \text{...} or without; nothing where there are none.
std::optional<std::string_view> before_near_words(std::string_view text);

// The tree with ~ for what it says: 12 becomes ~ 12, and x = 12 becomes x ~ 12.
Expr as_near(Expr value);

// Does `rest`, behind a number of running text, make it near ("or so", "cm (approximately)") up to its sentence's end?
bool says_near(std::string_view rest);

// Does `rest` make it a bound ("or more"), or is the text cut off there, or a question ("=", "+", "= ?")?
bool is_open(std::string_view rest);

}  // namespace cohort::math
