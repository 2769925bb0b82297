// A translator over the pattern's tokens. What it knows of the two dialects: the manuals doc/RE of
// Oniguruma 6.9 and pcre2pattern of PCRE2 10.42; the sets behind \s, \w and \p were compared
// character by character with the `tokenizers` package.
#include "model/text/pattern_syntax.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/check.h"
#include "core/text.h"
#include "model/text/unicode_additions.h"

namespace cohort {
namespace {

// PCRE2's \s has U+180E besides.
constexpr std::string_view kSpaces =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";
constexpr std::string_view kNotSpaces =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{10ffff}";
constexpr std::string_view kCategories[] = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc",
                                            "Me", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps",
                                            "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So",
                                            "Z",  "Zs", "Zl", "Zp", "Cc", "Cf", "Co"};

struct Script {
  std::string_view name, additions;  // what Unicode 15 and 16 added to it
};
constexpr Script kScripts[] = {
    {"Han", "\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"},
    {"Hiragana", "\\x{1b132}"},
    {"Katakana", "\\x{1b155}"},
    {"Hangul", ""},
    {"Thai", ""},
};

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view where) : in_(pattern), where_(where) {}

  std::string run() {
    CHECK_INPUT(is_utf8(in_), "{}: the pattern is not valid UTF-8", where_);
    while (at_ < in_.size()) item();
    CHECK_INPUT(groups_.empty(), "{}: a group of the pattern {} is not closed", where_, in_);
    if (folds_) refuse_long_folds();
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(ExitCode::kInput, "{}: '{}' at byte {} of the pattern {} is not supported", where_, what,
         at_, in_);
  }
  bool next_is(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  bool take(std::string_view text) {
    if (!next_is(text)) return false;
    at_ += text.size();
    return true;
  }
  void atom(std::string_view text) {
    atom_start_ = out_.size();
    has_atom_ = true;
    out_ += text;
  }

  void item() {
    const char c = in_[at_];
    switch (c) {
      case '\\':
        return escape();
      case '[':
        return char_class();
      case '(':
        return open_group();
      case ')':
        if (groups_.empty()) refuse(")");
        ++at_;
        out_ += ')';
        atom_start_ = groups_.back();
        has_atom_ = true;
        groups_.pop_back();
        return;
      case '|':
        ++at_;
        out_ += '|';
        has_atom_ = false;
        return;
      case '*':
      case '+':
      case '?':
      case '{':
        return quantifier();
      case '^':
      case '$':  // of a line, as in Ruby: compiled with PCRE2_MULTILINE
        ++at_;
        out_ += c;
        has_atom_ = false;
        return;
      case '.':
        ++at_;
        return atom(".");
      default: {
        const size_t start = at_;
        next_code_point(in_, at_);
        return atom(in_.substr(start, at_ - start));
      }
    }
  }

  void open_group() {
    static constexpr std::string_view kOpenings[] = {
        "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:"};
    const size_t start = out_.size();
    has_atom_ = false;
    if (at_ == 0 && take("(?i)")) {
      folds_ = true;
      out_ += "(?i)";
      return;
    }
    for (std::string_view opening : kOpenings) {
      if (!take(opening)) continue;
      folds_ |= opening == "(?i:";
      groups_.push_back(start);
      out_ += opening;
      return;
    }
    if (next_is("(?")) refuse(in_.substr(at_, 4));
    if (next_is("(*")) refuse("(*");
    ++at_;
    groups_.push_back(start);
    out_ += "(?:";  // nothing refers to what a group captured
  }

  void quantifier() {
    if (!has_atom_) refuse(in_.substr(at_, 1));
    std::string text;
    bool interval = false, exact = false;
    if (in_[at_] == '{') {
      const size_t close = in_.find('}', at_);
      if (close == in_.npos) refuse("{");
      std::string_view bounds = in_.substr(at_ + 1, close - at_ - 1);
      const size_t comma = bounds.find(',');
      const std::string_view low = bounds.substr(0, comma);
      const std::string_view high = comma == bounds.npos ? low : bounds.substr(comma + 1);
      const auto number = [](std::string_view digits) {
        return digits.size() <= 4 && std::all_of(digits.begin(), digits.end(),
                                                 [](char c) { return c >= '0' && c <= '9'; });
      };
      if (!number(low) || !number(high) || (low.empty() && high.empty()))
        refuse(in_.substr(at_, close - at_ + 1));
      text = fmt::format("{{{},{}}}", low.empty() ? "0" : low, high);
      exact = comma == bounds.npos;
      interval = true;
      at_ = close + 1;
    } else {
      text = in_[at_++];
    }
    if (next_is("?")) {
      if (exact) refuse("{n}?");  // Ruby: zero or n times
      ++at_;
      text += '?';
    } else if (next_is("+")) {
      if (interval) {  // Ruby: the whole repeated, greedily
        ++at_;
        out_.insert(atom_start_, "(?:");
        out_ += text + ")+";
        has_atom_ = false;
        return;
      }
      ++at_;
      text += '+';
    }
    out_ += text;
    has_atom_ = false;  // one quantifier for an atom; a second one is refused
  }

  // \x{..}, \xHH, \uHHHH at at_ (behind the letter): the code point.
  uint32_t hexadecimal(size_t low, size_t high) {
    const bool braces = low == 0 && take("{");
    const size_t start = at_;
    uint32_t value = 0;
    const size_t most = braces ? 6 : high;
    while (at_ < in_.size() && at_ - start < most) {
      const char c = in_[at_];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) break;
      value = value * 16 + static_cast<uint32_t>(digit);
      ++at_;
    }
    if (at_ == start || (!braces && at_ - start < low) || (braces && !take("}"))) refuse("\\x");
    if (!braces && low == 0 && value > 0x7F) refuse("\\xHH above 7F");  // a byte to Oniguruma
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) refuse("\\x");
    return value;
  }

  // What stands behind a backslash, as members of a class; `negative`: the members are what it is
  // not.
  std::string members(bool& negative) {
    negative = false;
    const char c = in_[at_++];
    switch (c) {
      case 's':
        return std::string(kSpaces);
      case 'S':
        return std::string(kNotSpaces);
      case 'd':
        return property("Nd");
      case 'D':
        negative = true;
        return property("Nd");
      case 'W':
        negative = true;
        [[fallthrough]];
      case 'w':  // Oniguruma counts some numbers of Latin-1 as parts of words
        return "\\p{Alphabetic}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}" + property("L") +
               property("M") + property("Nd") + property("Nl") + property("Pc");
      case 'p':
      case 'P': {
        if (!take("{")) refuse("\\p");
        negative = c == 'P';
        if (take("^")) negative = !negative;
        const size_t close = in_.find('}', at_);
        if (close == in_.npos) refuse("\\p{");
        const std::string_view name = in_.substr(at_, close - at_);
        std::string result = property(name);
        at_ = close + 1;
        return result;
      }
      case 'n':
        return "\\x{a}";
      case 'r':
        return "\\x{d}";
      case 't':
        return "\\x{9}";
      case 'f':
        return "\\x{c}";
      case 'v':
        return "\\x{b}";
      case 'a':
        return "\\x{7}";
      case 'e':
        return "\\x{1b}";
      case 'x':
        return fmt::format("\\x{{{:x}}}", hexadecimal(0, 2));
      case 'u':
        return fmt::format("\\x{{{:x}}}", hexadecimal(4, 4));
      default:
        break;
    }
    const auto byte = static_cast<unsigned char>(c);
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || byte >= 0x80;
    if (alphanumeric) {
      --at_;
      refuse(std::string("\\") + (byte < 0x80 ? std::string(1, c) : "?"));
    }
    return fmt::format("\\x{{{:x}}}", byte);
  }

  std::string property(std::string_view name) const {
    for (const Script& script : kScripts)
      if (script.name == name)  // by itself PCRE2's \p{Han} means the script extensions
        return fmt::format("\\p{{sc:{}}}{}", name, script.additions);
    if (std::find(std::begin(kCategories), std::end(kCategories), name) == std::end(kCategories))
      fail(ExitCode::kInput,
           "{}: the property \\p{{{}}} of the pattern {} is not supported; supported are the "
           "general "
           "categories by their short names (L, Lu, ...) and the scripts Han, Hiragana, Katakana, "
           "Hangul, Thai",
           where_, name, in_);
    std::string result = fmt::format("\\p{{{}}}", name);
    for (const UnicodeAddition& addition : kUnicodeAdditions)
      if (addition.category.starts_with(name))
        result += addition.first == addition.last
                      ? fmt::format("\\x{{{:x}}}", uint32_t{addition.first})
                      : fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", uint32_t{addition.first},
                                    uint32_t{addition.last});
    return result;
  }

  void escape() {
    ++at_;
    if (at_ == in_.size()) refuse("\\");
    if (in_[at_] == 'A' || in_[at_] == 'z') {  // the ends of the text, in both dialects
      out_ += '\\';
      out_ += in_[at_++];
      has_atom_ = false;
      return;
    }
    bool negative;
    const std::string set = members(negative);
    const bool single = !negative && set.starts_with("\\x") && set.find('\\', 1) == set.npos;
    atom(single ? set : (negative ? "[^" : "[") + set + "]");
  }

  // One member of a class at at_, without its range; `single`: it is one character.
  std::string class_member(bool& single) {
    single = true;
    if (in_[at_] == '[') refuse(next_is("[:") ? "[:" : "a '[' inside a class");
    if (next_is("&&")) refuse("&&");
    if (in_[at_] != '\\') {
      const char32_t c = next_code_point(in_, at_);
      return fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(c));
    }
    ++at_;
    if (at_ == in_.size()) refuse("\\");
    if (in_[at_] == 'b') refuse("\\b inside a class");
    bool negative;
    const std::string set = members(negative);
    if (negative) refuse("a negated property inside a class");
    single = set.starts_with("\\x") && set.find('\\', 1) == set.npos;
    return set;
  }

  void char_class() {
    std::string text = "[";
    ++at_;
    if (take("^")) text += '^';
    if (next_is("]")) refuse("[]");
    while (at_ < in_.size() && in_[at_] != ']') {
      bool single;
      if (in_[at_] == '-' && !text.ends_with('[') && !text.ends_with('^') &&
          in_.substr(at_ + 1, 1) != "]")
        refuse("a '-' in the middle of a class");
      text += class_member(single);
      if (single && next_is("-") && in_.substr(at_ + 1, 1) != "]" && at_ + 1 < in_.size()) {
        ++at_;
        const std::string end = class_member(single);
        if (!single) refuse("a range to a set");
        text += '-' + end;
      }
    }
    if (!take("]")) refuse("[");
    atom(text + "]");
  }

  // Oniguruma lets one character fold to two letters (U+00DF and "ss"); PCRE2 does not.
  void refuse_long_folds() const {
    std::string lower(in_);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    for (std::string_view pair : {"ss", "ff", "fi", "fl", "st"})
      CHECK_INPUT(lower.find(pair) == lower.npos,
                  "{}: '{}' in the pattern {}, which ignores case, is not supported", where_, pair,
                  in_);
    CHECK_INPUT(
        std::all_of(in_.begin(), in_.end(),
                    [](char c) { return static_cast<signed char>(c) >= 0; }),
        "{}: the pattern {} ignores case and has letters beyond ASCII, which is not supported",
        where_, in_);
  }

  std::string_view in_, where_;
  size_t at_ = 0;
  std::string out_;
  std::vector<size_t> groups_;  // where each open group starts in out_
  size_t atom_start_ = 0;
  bool has_atom_ = false;
  bool folds_ = false;
};

}  // namespace

std::string to_pcre2_syntax(std::string_view pattern, std::string_view where) {
  return Translator(pattern, where).run();
}

}  // namespace cohort
