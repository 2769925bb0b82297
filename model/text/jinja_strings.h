// Python's string operations that templates use, on valid UTF-8 in which guards may stand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::jinja {

// A byte that no UTF-8 has. Inside a text it says that the characters around it are no special token
// (chat_template.h); it belongs to the character before it, so that no length or index sees it.
constexpr char kGuard = '\xFF';

// Decodes the character at text[at] and moves `at` behind it and the guards around it; 0 when only
// guards are left.
char32_t next_character(std::string_view text, size_t& at);

// Without characters at the ends: those of `characters`, or white space as Python's str.strip has
// it.
std::string_view lstrip(std::string_view text, std::optional<std::string_view> characters = {});
std::string_view rstrip(std::string_view text, std::optional<std::string_view> characters = {});
std::string_view strip(std::string_view text, std::optional<std::string_view> characters = {});

// As Python's: one character may become several, and a sigma at the end of a word is another.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
// str.capitalize, str.title and Jinja's filter title, which cuts words at - ( { [ < and white space.
std::string capitalize(std::string_view text);
std::string title(std::string_view text);
std::string title_words(std::string_view text);

int64_t count_characters(std::string_view text);
// The start of each character, and the end of the text.
std::vector<size_t> character_starts(std::string_view text);

// As std::string_view::find, in linear time whatever the two are.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);
size_t count_text(std::string_view text, std::string_view part);

// `separator` is not empty; at most `most` cuts from the left (rsplit: from the right).
std::vector<std::string> split(std::string_view text, std::string_view separator,
                               size_t most = SIZE_MAX);
std::vector<std::string> rsplit(std::string_view text, std::string_view separator,
                                size_t most = SIZE_MAX);
std::vector<std::string> split_white_space(std::string_view text);
// str.splitlines: at every line end that Python knows.
std::vector<std::string> split_lines(std::string_view text);
// `from` is not empty; at most `most` from the left.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        size_t most = SIZE_MAX);

// "\x1f", "\u00e9": a backslash, the mark and so many lower-case hexadecimal digits.
void append_escape(std::string& out, char mark, uint32_t number, int digits);
// repr(text): quotes, escapes, and what is not printable by its number.
std::string quote(std::string_view text);

}  // namespace cohort::jinja
