#include "reward/prose.h"

#include <utf8proc.h>

#include <algorithm>
#include <optional>

#include "core/text.h"

namespace cohort {
namespace {

constexpr size_t kNone = std::string_view::npos;
constexpr size_t kMaxTag = 40;  // bytes of <think> and the like

constexpr size_t kMinProseWords = 5;  // of a line between marks that is no program and no formula

void blank(std::string& text, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i)
    if (text[i] != '\n') text[i] = ' ';
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Where something that ends with `closing` ends that begins before `from`. A search that finds nothing finds nothing from a later place
// either: remembering that keeps the time proportional to the text.
class Closing {
 public:
  explicit Closing(std::string_view closing) : closing_(closing) {}

  size_t find(std::string_view text, size_t from) {
    if (next_ == kNone) return kNone;
    if (next_ < from || !known_) next_ = text.find(closing_, from), known_ = true;
    return next_;
  }
  size_t size() const { return closing_.size(); }

 private:
  std::string_view closing_;
  size_t next_ = 0;
  bool known_ = false;
};

// Programs and formulas, by the marks around them. One that is not closed is none, but for a block of code, which goes on to the end.
class Marked {
 public:
  explicit Marked(std::string_view text) : text_(text) {}

  // Where what begins at `at` ends, or nothing.
  std::optional<size_t> end_of(size_t at) {
    switch (text_[at]) {
      case '`': return code(at);
      case '$': return dollars(at);
      case '\\': return command(at);
      case '<': return tag(at);
      default: return std::nullopt;
    }
  }

 private:
  std::optional<size_t> closed(Closing& closing, size_t from) {
    const size_t end = closing.find(text_, from);
    return end == kNone ? std::nullopt : std::optional(end + closing.size());
  }

  std::optional<size_t> code(size_t at) {
    if (text_.substr(at).starts_with("```")) return closed(fence_, at + 3).value_or(text_.size());
    const size_t end = tick_.find(text_, at + 1);
    return end == kNone || paragraph_.find(text_, at) < end ? std::nullopt : std::optional(end + 1);
  }

  // As Markdown with formulas has it: no space within the marks, no digit behind them ($5 and $6 are money).
  std::optional<size_t> dollars(size_t at) {
    if (text_.substr(at).starts_with("$$")) return closed(dollars_, at + 2);
    const size_t end = dollar_.find(text_, at + 1);
    if (end == kNone || end == at + 1 || paragraph_.find(text_, at) < end || is_space(text_[at + 1]) || is_space(text_[end - 1])) return std::nullopt;
    if (end + 1 < text_.size() && is_digit(text_[end + 1])) return std::nullopt;
    return end + 1;
  }

  std::optional<size_t> command(size_t at) {
    const std::string_view rest = text_.substr(at);
    if (rest.starts_with("\\(")) return closed(round_, at + 2);
    if (rest.starts_with("\\[")) return closed(square_, at + 2);
    if (!rest.starts_with("\\begin{")) return std::nullopt;
    const std::optional<size_t> end = closed(end_, at);
    if (!end) return std::nullopt;
    return closed(brace_, *end);
  }

  std::optional<size_t> tag(size_t at) const {
    const std::string_view rest = text_.substr(at, kMaxTag);
    const size_t name = rest.starts_with("</") ? 2 : 1, end = rest.find_first_of("> \n");
    if (rest.size() <= name || !is_ascii_letter(rest[name]) || end == kNone || rest[end] != '>') return std::nullopt;
    return at + end + 1;
  }

  std::string_view text_;
  Closing fence_{"```"}, tick_{"`"}, paragraph_{"\n\n"}, dollars_{"$$"}, dollar_{"$"}, round_{"\\)"}, square_{"\\]"}, end_{"\\end{"}, brace_{"}"};
};

// Scripts whose words stand between spaces together with formulas: Latin, Greek, Cyrillic and Armenian, and all signs. What is left begins
// with Hebrew, and again with the radicals of Han.
bool in_token(char32_t c) { return c < 0x0590 || (c >= 0x1C80 && c < 0x2E80); }

// Where in text[begin, end) a formula stands, if one does. Marks of Markdown, brackets and punctuation around it are no part of it: they
// may end a sentence.
std::optional<Word> formula_in(std::string_view text, size_t begin, size_t end) {
  constexpr std::string_view kAround = "*_#()[]{}\"',.;:!?-<>|~`", kWithin = "=^_\\{}<>|+*@#([/&%$~";
  const std::string_view around = text.substr(begin, end - begin);
  const size_t first = around.find_first_not_of(kAround);
  if (first == kNone) return std::nullopt;
  const size_t last = around.find_last_not_of(kAround);
  const std::string_view token = around.substr(first, last - first + 1);
  for (size_t i = 0; i < token.size(); ++i) {
    const bool either = token[i] == '/' && token.find('/', i + 1) == kNone;  // and/or
    const bool dotted = token[i] == '.' && is_ascii_letter(token[i + 1]);
    if (is_digit(token[i]) || dotted || (!either && kWithin.find(token[i]) != kNone)) return Word{begin + first, begin + last + 1};
  }
  return std::nullopt;
}

enum class Kind { kNoLetter, kMark, kLetter, kVariable, kWord };  // kVariable: a letter that is no word by itself; kWord: one that is

Kind kind_of(char32_t c) {
  if ((c >= 0x3041 && c <= 0x30FF) || (c >= 0x31F0 && c <= 0x31FF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) ||
      (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x323AF))
    return c == 0x30FB ? Kind::kNoLetter : Kind::kWord;
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME) return Kind::kMark;
  if (category < UTF8PROC_CATEGORY_LU || category > UTF8PROC_CATEGORY_LO) return Kind::kNoLetter;
  const bool variable = c < 0x0400 || (c >= 0x1E00 && c < 0x2E80) || (c >= 0x1D400 && c < 0x1D800);
  return variable ? Kind::kVariable : Kind::kLetter;
}

// Characters that no text is written with, and CLD2 looks at no text that has one: what they stand in would be hidden from it.
bool is_no_text(char32_t c) {
  return (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r') || (c >= 0x7F && c < 0xA0) || (c >= 0xFDD0 && c < 0xFDF0) || (c & 0xFFFE) == 0xFFFE;
}

// Of a line between marks: words, and no sign that programs and formulas have but sentences rarely do?
bool reads_as_prose(std::string_view line) {
  constexpr std::string_view kAround = "`$ \t", kSigns = ".,;!?'\"-% ";
  const size_t first = line.find_first_not_of(kAround), last = line.find_last_not_of(kAround);
  if (first == kNone) return false;
  line = line.substr(first, last - first + 1);
  for (const char c : line)
    if (static_cast<unsigned char>(c) < 0x80 && !is_ascii_letter(c) && !is_digit(c) && kSigns.find(c) == kNone) return false;
  return words_of(line).size() >= kMinProseWords;
}

// Blanks programs and formulas. Marks are no place to hide another language in: lines of prose remain, and letters that programs and
// formulas are not written with.
void blank_marked(std::string& text, size_t begin, size_t end) {
  while (begin < end) {
    const size_t stop = std::min(text.find('\n', begin), end);
    const bool keep = reads_as_prose(std::string_view(text).substr(begin, stop - begin));
    for (size_t at = begin; at < stop;) {
      const size_t here = at;
      const char32_t c = next_code_point(text, at);
      const Kind kind = kind_of(c);
      if (keep ? c == '`' || c == '$' : c < 0x0400 || kind == Kind::kNoLetter || kind == Kind::kVariable) blank(text, here, at);
    }
    begin = stop + 1;
  }
}

}  // namespace

std::string prose(std::string_view text) {
  std::string result(text);
  for (size_t at = 0; at < result.size();) {
    const size_t here = at;
    if (is_no_text(next_code_point(result, at))) blank(result, here, at);
  }
  Marked marked(text);
  for (size_t at = 0; at < text.size();) {
    const std::optional<size_t> end = marked.end_of(at);
    if (end) blank_marked(result, at, *end);
    at = end.value_or(at + 1);
  }
  size_t begin = 0;
  const auto finish = [&](size_t end) {
    if (const auto formula = formula_in(result, begin, end)) blank(result, formula->begin, formula->end);
  };
  for (size_t at = 0; at < result.size();) {
    const size_t here = at;
    const char32_t c = next_code_point(result, at);
    if (in_token(c) && !(c < 0x80 && is_space(static_cast<char>(c)))) continue;
    finish(here);
    begin = at;
  }
  finish(result.size());
  return result;
}

std::vector<Word> words_of(std::string_view prose) {
  std::vector<Word> words;
  Word word;
  int letters = 0;
  bool counts = false;
  const auto finish = [&] {
    if (counts || letters > 1) words.push_back(word);
    letters = 0, counts = false;
  };
  for (size_t at = 0; at < prose.size();) {
    const size_t here = at;
    const char32_t c = next_code_point(prose, at);
    const Kind kind = kind_of(c);
    if (kind == Kind::kNoLetter && !((c == '\'' || c == 0x2019) && letters > 0)) {
      finish();
    } else if (kind == Kind::kWord) {
      finish();
      words.push_back({here, at});
    } else if (kind == Kind::kLetter || kind == Kind::kVariable) {
      if (letters++ == 0) word.begin = here;
      word.end = at;
      counts |= kind == Kind::kLetter;
    } else if (letters > 0) {
      word.end = at;
    }
  }
  finish();
  return words;
}

}  // namespace cohort
