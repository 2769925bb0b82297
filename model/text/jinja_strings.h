// Python's string operations that templates use, on valid UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::jinja {

// Without characters at the ends: those of `characters`, or white space as Python's str.strip has
// it.
std::string_view lstrip(std::string_view text, std::optional<std::string_view> characters = {});
std::string_view rstrip(std::string_view text, std::optional<std::string_view> characters = {});
std::string_view strip(std::string_view text, std::optional<std::string_view> characters = {});

// Character by character (simple case mappings; Python's few one-to-many ones, such as German sharp
// s, stay).
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);

int64_t count_characters(std::string_view text);
// The start of each character, and the end of the text.
std::vector<size_t> character_starts(std::string_view text);

// `separator` is not empty; at most `most` cuts from the left.
std::vector<std::string> split(std::string_view text, std::string_view separator,
                               size_t most = SIZE_MAX);
std::vector<std::string> split_white_space(std::string_view text);
// `from` is not empty.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace cohort::jinja
