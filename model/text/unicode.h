// The little of Unicode that tokenizers need: white space, general categories, normal forms, lower
// case. The answers are those of the `tokenizers` package, whose parts follow different versions of
// Unicode: categories 16, numbers 17, normal forms 9.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cohort {

// The Unicode property White_Space, which is what \s means in the published patterns.
constexpr bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// What the published patterns ask of a character.
enum class CharKind : uint8_t { kOther, kLetter, kNumber, kSpace };
CharKind char_kind(char32_t c);
// Categories Nd, Nl, No.
bool is_numeric(char32_t c);
// \w as Unicode technical standard 18 has it: letters, marks, digits, connectors.
bool is_word_character(char32_t c);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// A normal form (Unicode standard annex 15) of valid UTF-8. O(n log n) whatever the marks.
std::string to_normal_form(std::string_view text, NormalForm form);
// Whether the normal forms of what stands before `c` and of what begins with `c` are independent.
bool starts_normal_block(char32_t c);

// The full lower case of each character by itself (as Rust's char::to_lowercase).
std::string to_lower_case(std::string_view text);

}  // namespace cohort
