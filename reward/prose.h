// What of a text is language: without programs, formulas, numbers, tags and addresses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cohort {

// `text` (valid UTF-8) with a space for each byte of what is no language: code between backticks, LaTeX between $, $$, \( \), \[ \] and of
// environments, tags, and Latin, Greek and Cyrillic tokens that have digits, signs or brackets within (x=5, f(x), np.sum, https://...).
// Places stay as they are. Takes time proportional to the text.
std::string prose(std::string_view text);

struct Word {
  size_t begin = 0, end = 0;  // bytes
};

// A word is a run of letters, marks and apostrophes; a letter of Han or kana, which stand without spaces, is one word each. A single Latin or
// Greek letter is none, but a variable.
std::vector<Word> words_of(std::string_view prose);

}  // namespace cohort
