// Python's string operations on UTF-8.
#include "model/text/jinja_strings.h"

#include <utf8proc.h>

#include <algorithm>

#include "core/text.h"
#include "model/text/unicode.h"

namespace cohort::jinja {
namespace {

bool is_python_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Whether the character of `text` that starts at `at` is to be stripped.
bool strips(std::string_view text, size_t at, std::optional<std::string_view> characters) {
  size_t end = at;
  const char32_t c = next_code_point(text, end);
  return characters ? characters->find(text.substr(at, end - at)) != characters->npos
                    : is_python_space(c);
}

template <typename Map>
std::string map_characters(std::string_view text, Map map) {
  std::string out;
  for (size_t at = 0; at < text.size();)
    append_utf8(
        out, static_cast<char32_t>(map(static_cast<utf8proc_int32_t>(next_code_point(text, at)))));
  return out;
}

}  // namespace

std::string_view lstrip(std::string_view text, std::optional<std::string_view> characters) {
  size_t at = 0;
  while (at < text.size() && strips(text, at, characters)) next_code_point(text, at);
  return text.substr(at);
}

std::string_view rstrip(std::string_view text, std::optional<std::string_view> characters) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && is_continuation(text[start])) --start;
    if (!strips(text, start, characters)) break;
    end = start;
  }
  return text.substr(0, end);
}

std::string_view strip(std::string_view text, std::optional<std::string_view> characters) {
  return rstrip(lstrip(text, characters), characters);
}

std::string to_upper(std::string_view text) { return map_characters(text, utf8proc_toupper); }
std::string to_lower(std::string_view text) { return map_characters(text, utf8proc_tolower); }

int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); });
}

std::vector<size_t> character_starts(std::string_view text) {
  std::vector<size_t> starts;
  for (size_t at = 0; at < text.size(); ++at)
    if (!is_continuation(text[at])) starts.push_back(at);
  starts.push_back(text.size());
  return starts;
}

std::vector<std::string> split(std::string_view text, std::string_view separator, size_t most) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t end = parts.size() < most ? text.find(separator) : text.npos;
    parts.emplace_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

std::vector<std::string> split_white_space(std::string_view text) {
  std::vector<std::string> parts;
  for (text = lstrip(text); !text.empty(); text = lstrip(text)) {
    size_t end = 0;
    while (end < text.size() && !strips(text, end, {})) next_code_point(text, end);
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const size_t at = text.find(from);
    out.append(text.substr(0, at));
    if (at == text.npos) return out;
    out.append(to);
    text.remove_prefix(at + from.size());
  }
}

}  // namespace cohort::jinja
