// The little of Unicode that tokenizers need: white space and the normal form C.
#pragma once

#include <string>
#include <string_view>

namespace cohort {

// The Unicode property White_Space, which is what \s means in the published patterns.
constexpr bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// Normalization form C (Unicode standard annex 15) of valid UTF-8. O(n log n) whatever the marks.
std::string to_nfc(std::string_view text);

}  // namespace cohort
