// Small helpers on text: UTF-8, nearest names for "did you mean", sizes and durations for people.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

// The length of the well-formed sequence at text[at], or 0 (Unicode 15, table 3-7).
size_t utf8_length(std::string_view text, size_t at);
bool is_utf8(std::string_view text);
// Replaces each invalid byte by U+FFFD.
std::string to_valid_utf8(std::string_view text);
// For terminals: control characters but line breaks and tabs (escape sequences, C1) become \xNN, so that text from files
// cannot move the cursor.
std::string printable(std::string_view text);
// Decodes one code point at text[at] (text is valid UTF-8) and moves `at` behind it.
char32_t next_code_point(std::string_view text, size_t& at);
void append_utf8(std::string& text, char32_t code_point);

// The candidate nearest to `name` by edit distance, or "" when none is near enough to be a slip of the keyboard.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

std::string human_bytes(uint64_t bytes);      // "1.4 GB"
std::string human_seconds(double seconds);    // "4m 31s"

}  // namespace cohort
