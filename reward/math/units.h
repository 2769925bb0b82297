// Units: which words are units, and how many base units they are.
#pragma once

#include <gmpxx.h>

#include <map>
#include <string>
#include <string_view>

namespace cohort::math {

// A unit as a product of powers of base units times a factor. Words that the table does not know are base units of
// their own ("apples"), in the singular.
struct Unit {
  mpq_class factor = 1;
  std::map<std::string, int> powers;  // by base unit, without zeros
  bool known = true;                  // every word was in the table
  bool operator==(const Unit&) const = default;
};

// Words that say another value, or none, and are no unit that may be left out: "5 or six", "5 thirds", "5 squared".
bool changes_value(std::string_view words);
// Words that take back what stands before them, or make it one of several: "maybe 6", "else", "wrong", "at most".
bool hedges(std::string_view words);
// Is the word (case as written) a unit of the table?
bool is_unit_word(std::string_view word);
// "km/h", "square feet", "m^2", "miles per hour", "kg m s^-2", "dollars". Never fails.
Unit read_unit(std::string_view words);

}  // namespace cohort::math
