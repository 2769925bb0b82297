// Answers in running text: behind "the answer is", in the last formula, as the last number.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "reward/math/extract.h"

namespace cohort::math {

enum class Said {
  kIs,     // "the answer is"
  kIsNot,  // "the answer is not", "cannot be"
  kOther,  // "the wrong answer is"
};

// Behind the last "answer is", "answer:", "answer =" that begins before `before`, which moves to where it begins. Not behind "let the answer
// be".
std::optional<size_t> after_phrase(std::string_view text, size_t& before, Said& said);

// Where the sentence at the front of `text` ends.
size_t sentence_end(std::string_view text);

// What the text states at its beginning: its formulas if it begins with one ("$x = 1$ and $x = 2$"), else the words up
// to the end of the sentence or to a word that begins a remark ("because"). "" when there is nothing.
std::string statement(std::string_view text);
// Does the text begin with a formula?
bool states_formula(std::string_view text);

// The last formula or number of the text, whichever comes later; the right side if it is an equation. Not one that the words before it deny
// (`passed`: how many such have been passed over behind the text).
Extracted last_statement(std::string_view text, int passed = 0);

// Does what stands behind an answer say that it is none: "is wrong", "is a lower bound"?
bool taken_back(std::string_view rest);

}  // namespace cohort::math
