// Python's string operations on UTF-8.
#include "model/text/jinja_strings.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/text.h"
#include "model/text/jinja_case_table.h"
#include "model/text/unicode.h"

namespace cohort::jinja {
namespace {

bool is_python_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }
bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80 || c == kGuard;
}

// Whether the character of `text` that starts at `at` is to be stripped.
bool strips(std::string_view text, size_t at, std::optional<std::string_view> characters) {
  if (static_cast<signed char>(text[at]) >= 0 && characters)
    return characters->find(text[at]) != characters->npos;
  if (static_cast<signed char>(text[at]) >= 0)
    return text[at] == ' ' || is_python_space(static_cast<unsigned char>(text[at]));
  const char32_t c = next_character(text, at);
  if (!characters) return is_python_space(c);
  std::string character;
  append_utf8(character, c);
  return characters->find(character) != characters->npos;
}

char32_t upper_of(char32_t c) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}
char32_t lower_of(char32_t c) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}
char32_t title_of(char32_t c) {
  return static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c)));
}
template <typename Table>
bool is_in(const Table& ranges, char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const CharacterRange& range) { return c >= range.first && c <= range.last; });
}
bool is_cased(char32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT || is_in(kMoreCased, c);
}
bool is_case_ignorable(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME ||
         category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_LM ||
         category == UTF8PROC_CATEGORY_SK || is_in(kMoreIgnorable, c);
}
bool is_printable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}
bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

enum class Case { kUpper, kLower, kTitle };

void append_case(std::string& out, char32_t c, Case to) {
  const char32_t* several = nullptr;
  if (to == Case::kLower && c == 0x130) several = U"i\x0307";
  if (to != Case::kLower && c >= 0x80) {
    const auto it = std::lower_bound(
        std::begin(kLongCases), std::end(kLongCases), c,
        [](const LongCase& entry, char32_t value) { return entry.character < value; });
    if (it != std::end(kLongCases) && it->character == c)
      several = to == Case::kUpper ? it->upper : it->title;
  }
  if (!several) {
    append_utf8(out, to == Case::kUpper ? upper_of(c) : to == Case::kLower ? lower_of(c) : title_of(c));
    return;
  }
  for (; *several; ++several) append_utf8(out, *several);
}

// Whether a capital sigma between `before` and `after` ends a word (Unicode's Final_Sigma).
bool is_final_sigma(std::string_view before, std::string_view after) {
  bool cased = false;
  for (size_t end = before.size(); end > 0;) {
    size_t start = end - 1;
    while (start > 0 && is_continuation(before[start])) --start;
    end = start;
    const char32_t c = next_character(before, start);
    if (c == 0 || is_case_ignorable(c)) continue;
    cased = is_cased(c);
    break;
  }
  if (!cased) return false;
  for (size_t at = 0; at < after.size();) {
    const char32_t c = next_character(after, at);
    if (c != 0 && !is_case_ignorable(c)) return !is_cased(c);
  }
  return true;
}

// Each character to the case that `choose` gives for it. Guards stay where they are. `cuts`: whether
// a character starts a text of its own, for the sigmas behind it.
template <typename Choose, typename Cuts>
std::string map_characters(std::string_view text, Choose choose, Cuts cuts) {
  std::string out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == kGuard) {
      out.push_back(text[at++]);
      continue;
    }
    const size_t start = at;
    const char32_t c = next_code_point(text, at);
    const Case to = choose(c);
    if (c == 0x3A3 && to == Case::kLower &&
        is_final_sigma(text.substr(begin, start - begin), text.substr(at))) {
      append_utf8(out, 0x3C2);
    } else {
      append_case(out, c, to);
    }
    if (cuts(c, to)) begin = at;
  }
  return out;
}
template <typename Choose>
std::string map_characters(std::string_view text, Choose choose) {
  return map_characters(text, choose, [](char32_t, Case) { return false; });
}

}  // namespace

char32_t next_character(std::string_view text, size_t& at) {
  const bool ascii = at < text.size() && static_cast<signed char>(text[at]) >= 0;
  if (ascii && (at + 1 == text.size() || text[at + 1] != kGuard))
    return static_cast<unsigned char>(text[at++]);
  const auto skip = [&] {
    while (at < text.size() && text[at] == kGuard) ++at;
  };
  skip();
  if (at == text.size()) return 0;
  const char32_t c = next_code_point(text, at);
  skip();
  return c;
}

std::string_view lstrip(std::string_view text, std::optional<std::string_view> characters) {
  size_t at = 0;
  while (at < text.size() && strips(text, at, characters)) next_character(text, at);
  while (at > 0 && at <= text.size() && text[at - 1] == kGuard) --at;  // of what follows
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

std::string to_upper(std::string_view text) {
  return map_characters(text, [](char32_t) { return Case::kUpper; });
}
std::string to_lower(std::string_view text) {
  return map_characters(text, [](char32_t) { return Case::kLower; });
}

std::string capitalize(std::string_view text) {
  bool first = true;
  return map_characters(
      text, [&](char32_t) { return std::exchange(first, false) ? Case::kTitle : Case::kLower; });
}

std::string title(std::string_view text) {
  bool inside = false;
  return map_characters(text, [&](char32_t c) {
    return std::exchange(inside, is_cased(c)) ? Case::kLower : Case::kTitle;
  });
}

// Jinja lowers what follows a word's first character by itself.
std::string title_words(std::string_view text) {
  bool inside = false;
  return map_characters(
      text,
      [&](char32_t c) {
        const bool cuts = is_python_space(c) ||
                          (c != 0 && c < 0x80 && std::strchr("-({[<", static_cast<int>(c)));
        return std::exchange(inside, !cuts) ? Case::kLower : Case::kUpper;
      },
      [](char32_t, Case to) { return to == Case::kUpper; });
}

int64_t count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); });
}

std::vector<size_t> character_starts(std::string_view text) {
  std::vector<size_t> starts;
  for (size_t at = 0; at < text.size(); ++at)
    if (!is_continuation(text[at])) starts.push_back(at);
  if (!starts.empty()) starts[0] = 0;  // guards before the first character are its own
  starts.push_back(text.size());
  return starts;
}

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return text.npos;
  // In stretches, near ones first: under AddressSanitizer each call of memmem looks at all that it is given.
  const size_t left = text.size() - from;
  for (size_t stretch = part.size() + 64;; stretch *= 4) {
    const void* at = memmem(text.data() + from, std::min(left, stretch), part.data(), part.size());
    if (at != nullptr) return static_cast<size_t>(static_cast<const char*>(at) - text.data());
    if (stretch >= left) return text.npos;
  }
}

size_t count_text(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = find_text(text, part); at != text.npos;
       at = find_text(text, part, at + part.size()))
    ++count;
  return count;
}

std::vector<std::string> split(std::string_view text, std::string_view separator, size_t most) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t end = parts.size() < most ? find_text(text, separator) : text.npos;
    parts.emplace_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

std::vector<std::string> rsplit(std::string_view text, std::string_view separator, size_t most) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t at = parts.size() < most ? text.rfind(separator) : text.npos;
    parts.emplace_back(at == text.npos ? text : text.substr(at + separator.size()));
    if (at == text.npos) break;
    text = text.substr(0, at);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> split_white_space(std::string_view text) {
  std::vector<std::string> parts;
  for (text = lstrip(text); !text.empty(); text = lstrip(text)) {
    size_t end = 0;
    while (end < text.size() && !strips(text, end, {})) next_character(text, end);
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const char32_t c = next_character(text, at);
    if (!is_line_end(c)) continue;
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.emplace_back(text.substr(start, end - start));
    start = at;
  }
  if (start < text.size()) lines.emplace_back(text.substr(start));
  return lines;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to,
                        size_t most) {
  std::string out;
  for (size_t count = 0;; ++count) {
    const size_t at = count < most ? find_text(text, from) : text.npos;
    out.append(text.substr(0, at));
    if (at == text.npos) return out;
    out.append(to);
    text.remove_prefix(at + from.size());
  }
}

void append_escape(std::string& out, char mark, uint32_t number, int digits) {
  out.append(1, '\\').push_back(mark);
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out.push_back("0123456789abcdef"[number >> shift & 0xF]);
}

std::string quote(std::string_view text) {
  const bool doubled = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char mark = doubled ? '"' : '\'';
  std::string out(1, mark);
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    if (text[at] == kGuard) {
      out.push_back(text[at++]);
      continue;
    }
    const char32_t c = next_code_point(text, at);
    constexpr std::string_view kEscaped = "\\\n\r\t", kLetters = "\\nrt";
    if (const size_t known = c < 0x80 ? kEscaped.find(static_cast<char>(c)) : kEscaped.npos;
        known != kEscaped.npos) {
      out.append(1, '\\').push_back(kLetters[known]);
    } else if (c == static_cast<char32_t>(mark)) {
      out.append(1, '\\').push_back(mark);
    } else if (is_printable(c)) {
      out.append(text.substr(start, at - start));
    } else {
      const auto number = static_cast<uint32_t>(c);
      if (c < 0x100) {
        append_escape(out, 'x', number, 2);
      } else {
        append_escape(out, c < 0x10000 ? 'u' : 'U', number, c < 0x10000 ? 4 : 8);
      }
    }
  }
  out.push_back(mark);
  return out;
}

}  // namespace cohort::jinja
