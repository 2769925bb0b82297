// The scanners behind pretokenizer.h. Each answers: where does the piece that starts here end?
#include "model/text/pretokenizer.h"

#include <utf8proc.h>

#include <array>
#include <cstdint>

#include "core/text.h"
#include "model/text/unicode.h"

namespace cohort {
namespace {

enum class Kind : uint8_t { kOther, kLetter, kNumber, kSpace };

struct Character {
  Kind kind;
  size_t end;  // one past its last byte
};

constexpr std::array<Kind, 128> make_ascii_kinds() {
  std::array<Kind, 128> kinds{};
  for (int c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    kinds[c] = letter                 ? Kind::kLetter
               : c >= '0' && c <= '9' ? Kind::kNumber
               : is_white_space(c)    ? Kind::kSpace
                                      : Kind::kOther;
  }
  return kinds;
}

constexpr std::array<Kind, 128> kAsciiKinds = make_ascii_kinds();

Kind kind_of(char32_t c) {
  if (is_white_space(c)) return Kind::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return Kind::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return Kind::kNumber;
    default:
      return Kind::kOther;
  }
}

Character character_at(std::string_view text, size_t at) {
  const unsigned char lead = text[at];
  if (lead < 0x80) return {kAsciiKinds[lead], at + 1};
  const Kind kind = kind_of(next_code_point(text, at));
  return {kind, at};
}

// The end of the run of characters of this kind that starts at `at`.
size_t run_end(std::string_view text, size_t at, Kind kind) {
  while (at < text.size()) {
    const Character next = character_at(text, at);
    if (next.kind != kind) break;
    at = next.end;
  }
  return at;
}

// The end of a contraction ('s 't 're 've 'm 'll 'd) at `at`, or `at`.
size_t contraction_end(std::string_view text, size_t at) {
  if (text[at] != '\'') return at;
  const std::string_view rest = text.substr(at + 1);
  for (std::string_view suffix : {"s", "t", "re", "ve", "m", "ll", "d"})
    if (rest.starts_with(suffix)) return at + 1 + suffix.size();
  return at;
}

// \s+(?!\S)|\s+ : all white space up to the end of the text, else all but the last character, else
// one character.
size_t white_space_end(std::string_view text, size_t at) {
  size_t end = at, last = at;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (next.kind != Kind::kSpace) break;
    last = end;
    end = next.end;
  }
  return end == text.size() || last == at ? end : last;
}

size_t gpt2_piece_end(std::string_view text, size_t at) {
  if (const size_t end = contraction_end(text, at); end != at) return end;
  Character first = character_at(text, at);
  if (text[at] == ' ' && at + 1 < text.size()) {
    const Character second = character_at(text, at + 1);
    if (second.kind != Kind::kSpace) first = second;
  }
  if (first.kind == Kind::kSpace) return white_space_end(text, at);
  return run_end(text, first.end, first.kind);
}

void cut(std::string_view text, PreTokenizer::Pattern pattern,
         std::vector<std::string_view>& pieces) {
  if (text.empty()) return;
  if (pattern == PreTokenizer::Pattern::kNone) {
    pieces.push_back(text);
    return;
  }
  for (size_t at = 0; at < text.size();) {
    const size_t end = gpt2_piece_end(text, at);
    pieces.push_back(text.substr(at, end - at));
    at = end;
  }
}

}  // namespace

void pre_tokenize(std::string_view text, const PreTokenizer& how,
                  std::vector<std::string_view>& pieces) {
  if (how.digits == PreTokenizer::Digits::kNone) return cut(text, how.pattern, pieces);
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const Character next = character_at(text, at);
    if (next.kind != Kind::kNumber) {
      at = next.end;
      continue;
    }
    const size_t end = how.digits == PreTokenizer::Digits::kIndividual
                           ? next.end
                           : run_end(text, at, Kind::kNumber);
    cut(text.substr(start, at - start), how.pattern, pieces);
    cut(text.substr(at, end - at), how.pattern, pieces);
    start = at = end;
  }
  cut(text.substr(start), how.pattern, pieces);
}

}  // namespace cohort
