// Notations that are rewritten before they are read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cohort::math {

// TeX's own infix commands as those with arguments: {a \over b} is \frac{a}{b}, {n \choose k} is \binom{n}{k}.
std::string without_infix(std::string_view text);

// What else an answer may mean, where its first reading is not the gold: {46} in braces that LaTeX does not show is 46, "4 and 1/3" is a mixed
// number, ]1, 2[ an open interval, and "3 to 2" the ratio 3 : 2 where the gold is a ratio. Mostly none.
std::vector<std::string> other_readings(std::string_view answer, std::string_view gold);

// "8:40 p.m.", "8:40\text{ PM}" as "8:40pm"; "" for what is no time of day with its half.
std::string time_of_day(std::string_view text);

}  // namespace cohort::math
