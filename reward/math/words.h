// Answers that are words: "Yes", "no solution", "Tuesday", "three", "(B)".
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace cohort::math {

// Words that make a value near to the answer instead of exact. ("approx" also stands for what begins with it.)
inline constexpr std::array<std::string_view, 7> kNearWords = {"about", "approximately", "approx", "around", "roughly", "nearly", "almost"};

// Lower case, without punctuation (but the signs of numbers), articles and the commands of LaTeX, single spaces; the
// many ways to say "no solution" and the like become one.
std::string normal_words(std::string_view text);

// A choice at the front of an answer: "(B) 12" is {'B', "12"}, "B" alone is {'B', ""}, "B. 12" and "B) 12" too. Letters
// A to J.
struct Label {
  char letter;
  std::string rest;
};
std::optional<Label> read_label(std::string_view text);

// `text` out of $...$, \(...\), \[...\], \text{...}, \boxed{...} and markdown's ** that surround all of it, without
// white space and a full stop at the ends.
std::string_view strip_wrapping(std::string_view text);

}  // namespace cohort::math
