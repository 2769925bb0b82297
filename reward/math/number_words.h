// Numbers in English words.
#pragma once

#include <gmpxx.h>

#include <optional>
#include <string>
#include <string_view>

namespace cohort::math {

struct WordNumber {
  mpq_class value;
  std::string rest;  // the words behind it: "dollars" of "five dollars"
};

// "three", "minus forty-two", "one hundred and five", "two million", "one half", "three quarters", "two and a half"; nothing where the text
// does not begin with a number. Words are compared without case, articles and hyphens.
std::optional<WordNumber> read_word_number(std::string_view text);
// All of the text.
std::optional<mpq_class> number_of_words(std::string_view text);

}  // namespace cohort::math
