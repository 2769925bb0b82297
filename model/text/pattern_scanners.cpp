// The scanners behind pattern_scanners.h, one alternative of the pattern after another.
#include "model/text/pattern_scanners.h"

#include "core/text.h"
#include "model/text/unicode.h"

namespace cohort {
namespace {

struct Character {
  CharKind kind;
  size_t end;  // one past its last byte
};

Character character_at(std::string_view text, size_t at) {
  const unsigned char lead = text[at];
  if (lead < 0x80) return {char_kind(lead), at + 1};
  const char32_t c = next_code_point(text, at);
  return {char_kind(c), at};
}

// The end of the run of characters of this kind that starts at `at`.
size_t run_end(std::string_view text, size_t at, CharKind kind) {
  while (at < text.size()) {
    const Character next = character_at(text, at);
    if (next.kind != kind) break;
    at = next.end;
  }
  return at;
}

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// The end of a contraction ('s 't 're 've 'm 'll 'd) at `at`, or `at`.
size_t contraction_end(std::string_view text, size_t at) {
  if (text[at] != '\'') return at;
  const std::string_view rest = text.substr(at + 1);
  for (std::string_view suffix : {"s", "t", "re", "ve", "m", "ll", "d"})
    if (rest.starts_with(suffix)) return at + 1 + suffix.size();
  return at;
}

// The same in either case. U+017F, the long s, is the only other character that folds to one of
// these letters.
size_t any_case_contraction_end(std::string_view text, size_t at) {
  if (text[at] != '\'') return at;
  const std::string_view rest = text.substr(at + 1);
  if (rest.starts_with("\xC5\xBF")) return at + 3;
  const auto letter = [&](size_t i) {
    const char c = i < rest.size() ? rest[i] : '\0';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  };
  switch (letter(0)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return at + 2;
    case 'r':
    case 'v':
      return letter(1) == 'e' ? at + 3 : at;
    case 'l':
      return letter(1) == 'l' ? at + 3 : at;
    default:
      return at;
  }
}

// \s+(?!\S)|\s+ : all white space up to the end of the text, else all but the last character, else
// one character. With `lines`, \s*[\r\n]+ comes first: up to the last line end of the white space.
size_t white_space_end(std::string_view text, size_t at, bool lines) {
  size_t end = at, last = at, line_end = at;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (next.kind != CharKind::kSpace) break;
    last = end;
    end = next.end;
    if (is_line_end(text[last])) line_end = end;
  }
  if (lines && line_end > at) return line_end;
  return end == text.size() || last == at ? end : last;
}

size_t modern_piece_end(std::string_view text, size_t at, int most_digits) {
  if (const size_t end = any_case_contraction_end(text, at); end != at) return end;
  const Character first = character_at(text, at);
  if (first.kind == CharKind::kLetter) return run_end(text, first.end, CharKind::kLetter);
  if (first.kind == CharKind::kNumber) {
    size_t end = first.end;
    for (int digits = 1; digits < most_digits && end < text.size(); ++digits) {
      const Character next = character_at(text, end);
      if (next.kind != CharKind::kNumber) break;
      end = next.end;
    }
    return end;
  }
  CharKind second = CharKind::kSpace;
  if (first.end < text.size()) {
    const Character next = character_at(text, first.end);
    second = next.kind;
    if (second == CharKind::kLetter && !is_line_end(text[at]))
      return run_end(text, next.end, CharKind::kLetter);
  }
  if (first.kind == CharKind::kOther || (text[at] == ' ' && second == CharKind::kOther)) {
    size_t end = run_end(text, first.end, CharKind::kOther);
    while (end < text.size() && is_line_end(text[end])) ++end;
    return end;
  }
  return white_space_end(text, at, /*lines=*/true);
}

}  // namespace

size_t gpt2_piece_end(std::string_view text, size_t at) {
  if (const size_t end = contraction_end(text, at); end != at) return end;
  Character first = character_at(text, at);
  if (text[at] == ' ' && at + 1 < text.size()) {
    const Character second = character_at(text, at + 1);
    if (second.kind != CharKind::kSpace) first = second;
  }
  if (first.kind == CharKind::kSpace) return white_space_end(text, at, /*lines=*/false);
  return run_end(text, first.end, first.kind);
}

size_t llama3_piece_end(std::string_view text, size_t at) { return modern_piece_end(text, at, 3); }
size_t qwen2_piece_end(std::string_view text, size_t at) { return modern_piece_end(text, at, 1); }

}  // namespace cohort
