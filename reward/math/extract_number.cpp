#include "reward/math/extract_number.h"

#include <algorithm>
#include <array>
#include <string>

#include "reward/decimal.h"
#include "reward/math/letters.h"
#include "reward/math/parser.h"
#include "reward/math/readings.h"
#include "reward/math/units.h"

namespace cohort::math {
namespace {

constexpr size_t npos = std::string_view::npos;
constexpr size_t kMaxRun = 200;  // bytes of a number with what belongs to it
constexpr int kMaxParts = 8;     // terms of a sum, links of a chain, exponents of units

// Signs of numbers that are no decimals.
constexpr std::array<std::string_view, 20> kMarks = {"π", "√", "∛", "½", "¼", "¾", "⅓", "⅔", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹", "⁻", "¹", "⁰", "∞"};

// One character, or a word of mathematics, of a number that is written without spaces.
struct Piece {
  size_t size = 0;  // 0: none stands here
  bool mark = false;
};

class Finder {
 public:
  explicit Finder(std::string_view text) : text_(text) {}

  std::optional<NumberRun> run() {
    size_t limit = text_.size();
    for (int i = 0; i < kMaxParts; ++i) {
      const size_t anchor = last_anchor(limit);
      if (anchor == npos) return std::nullopt;
      const size_t unit = unit_before(anchor);
      if (unit == npos) return grown(plain(anchor));
      limit = unit;  // "25 cm^2"
    }
    return std::nullopt;
  }

 private:
  char at(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool ends(size_t end, std::string_view piece) const { return text_.substr(0, end).ends_with(piece); }
  bool starts(size_t begin, std::string_view piece) const { return begin <= text_.size() && text_.substr(begin).starts_with(piece); }
  bool reads(NumberRun run) const {
    const std::string_view all = text_.substr(run.begin, run.end - run.begin);
    return all.size() <= kMaxRun && (parse_answer(all).ok() || !time_of_day(all).empty());
  }

  // A digit, or a sign that is a number by itself.
  size_t last_anchor(size_t limit) const {
    for (size_t i = limit; i-- > 0;)
      if (is_digit(text_[i]) || (is_wide(text_[i]) && (starts(i, "π") || starts(i, "½") || starts(i, "¼") || starts(i, "¾")))) return i;
    return npos;
  }

  // Where the unit begins of which text[anchor] is the exponent, npos: of none.
  size_t unit_before(size_t anchor) const {
    size_t end = anchor;
    if (end > 0 && text_[end - 1] == '{') --end;
    if (end == 0 || text_[end - 1] != '^') return npos;
    size_t begin = --end;
    while (begin > 0 && is_letter(text_[begin - 1])) --begin;
    const bool behind = begin > 0 && (text_[begin - 1] == ' ' || text_[begin - 1] == '/' || is_digit(text_[begin - 1]));
    return begin < end && behind && is_unit_word(text_.substr(begin, end - begin)) ? begin : npos;
  }

  // Digits with separators, fraction, sign, currency and percent.
  NumberRun plain(size_t anchor) const {
    size_t begin = anchor, end = anchor + 1;
    while (end < text_.size() && is_wide(text_[anchor]) && (text_[end] & 0xC0) == 0x80) ++end;
    while (begin > 0 && !is_wide(text_[anchor])) {
      const char c = text_[begin - 1];
      const bool joint = (c == '.' || c == ',' || c == '/') && begin > 1 && is_digit(text_[begin - 2]);
      if (!is_digit(c) && !joint) break;
      --begin;
    }
    if (begin > 0 && text_[begin - 1] == '.' && (begin == 1 || !is_letter(text_[begin - 2])) && !is_wide(text_[anchor])) --begin;
    return {begin, end};
  }

  NumberRun with_sign(NumberRun run) const {
    run.begin = sign_of_number(text_, run.begin);
    if (run.begin > 0 && text_[run.begin - 1] == '$') run.begin = sign_of_number(text_, run.begin - 1);
    if (ends(run.begin, "±")) run.begin -= std::string_view("±").size();
    const size_t percent = run.end + (at(run.end) == ' ');
    if (at(percent) == '%') run.end = percent + 1;
    return run;
  }

  // The piece that ends at `end`.
  Piece before(size_t end) const {
    if (end == 0) return {};
    const char c = text_[end - 1];
    if (is_digit(c) || c == '(' || c == ')' || c == '/') return {1};
    if ((c == '.' || c == ',' || c == ':') && end > 1 && is_digit(text_[end - 2])) return {1};
    if (c == '^' || c == '!' || (c == '{' && end > 1 && text_[end - 2] == '^')) return {1, true};
    if (is_wide(c)) return wide([&](std::string_view sign) { return ends(end, sign); });
    return letters(end, true);
  }

  // The piece that begins at `begin`.
  Piece behind(size_t begin) const {
    const char c = at(begin);
    if (is_digit(c) || c == '(' || c == ')' || c == '/' || c == '%' || c == '}') return {1};
    if (c == '^' || (c == '!' && is_factorial(begin + 1))) return {1, true};
    if (is_wide(c)) return wide([&](std::string_view sign) { return starts(begin, sign); });
    return letters(begin, false);
  }

  // Does a '!' before text[i] belong to the number? One that ends a sentence stresses it.
  bool is_factorial(size_t i) const {
    constexpr std::string_view kBehind = ".,;)/^=+-";
    if (at(i) != ' ') return at(i) != '\0' && kBehind.find(at(i)) != npos;
    return (at(i + 1) >= 'a' && at(i + 1) <= 'z') || is_digit(at(i + 1)) || std::string_view("/+-=").find(at(i + 1)) < 4;
  }

  template <class Fits>
  static Piece wide(Fits fits) {
    for (const std::string_view sign : kMarks)
      if (fits(sign)) return {sign.size(), true};
    if (fits("°")) return {std::string_view("°").size()};
    return {};
  }

  // sqrt, pi, and a variable beside a digit or a power; the word ends or begins at `edge`.
  Piece letters(size_t edge, bool backwards) const {
    size_t begin = edge, end = edge;
    while (backwards && begin > 0 && is_letter(text_[begin - 1]) && end - begin < 8) --begin;
    while (!backwards && end < text_.size() && is_letter(text_[end]) && end - begin < 8) ++end;
    const std::string_view word = text_.substr(begin, end - begin);
    if (word == "sqrt" || word == "cbrt" || word == "pi") return {word.size(), true};
    if (word.size() != 1 || std::string_view("xyznie").find(word) == npos) return {};
    if ((word == "e" && at(end) != '^') || (backwards && is_digit(at(end)))) return {};  // 12x10
    if (!backwards && at(end) == ' ' && is_letter(at(end + 1))) return {};  // "5x faster"
    return {1, true};
  }

  struct Tight {
    NumberRun run;
    bool mark = false;
  };

  // What is written together with it.
  Tight tight(NumberRun run) const {
    Tight all{run, is_wide(text_[run.begin])};
    for (Piece piece; (piece = before(all.run.begin)).size > 0 && run.end - all.run.begin < kMaxRun; all.mark |= piece.mark) all.run.begin -= piece.size;
    for (Piece piece; (piece = behind(all.run.end)).size > 0 && all.run.end - run.begin < kMaxRun; all.mark |= piece.mark) all.run.end += piece.size;
    balance(all.run, run);
    return all;
  }

  // Without the brackets and bars at its ends that belong to the text around it; never less than `core`.
  void balance(NumberRun& run, NumberRun core) const {
    for (bool again = true; again;) {
      again = false;
      int depth = 0, lowest = 0;
      for (size_t i = run.begin; i < run.end; ++i) lowest = std::min(lowest, depth += (text_[i] == '(') - (text_[i] == ')'));
      const char first = at(run.begin), last = at(run.end - 1);
      const bool braces = text_.substr(run.begin, run.end - run.begin).find('{') != npos;
      if (run.begin < core.begin && ((first == '(' && depth > 0) || first == ')' || first == '/' || first == ',' || first == ':' || first == '^' || first == '!' || first == '{'))
        ++run.begin, again = true;
      else if (run.end > core.end && ((last == ')' && lowest < 0) || (last == '}' && !braces) || last == '(' || last == '/' || last == '^'))
        --run.end, again = true;
    }
  }

  // "million" and "percent" behind it, which may stand behind a space, as a root and pi may.
  void take_words(Tight& all) const {
    const size_t word = all.run.end + (at(all.run.end) == ' ');
    for (const std::string_view sign : {"π", "√"})
      if (word > all.run.end && starts(word, sign)) {
        const Tight more = tight({word, word + sign.size()});
        all.run.end = more.run.end, all.mark = true;
        return;
      }
    for (const std::string_view scale : {"dozen", "dozens", "hundred", "thousand", "million", "billion", "trillion", "percent"})
      if (word > all.run.end && starts(word, scale) && !is_letter(at(word + scale.size()))) all.run.end = word + scale.size();
    if (text_.substr(all.run.begin, all.run.end - all.run.begin).find(':') == npos) return;
    for (const std::string_view half : {"AM", "PM", "am", "pm", "a.m.", "p.m."})
      if (starts(word, half) && !is_letter(at(word + half.size()))) all.run.end = word + half.size();
  }

  // The sum or product that it ends, where roots, powers or pi are in it; a mixed number.
  void take_terms(Tight& all) const {
    static constexpr std::array<std::string_view, 8> kOperators = {" + ", " - ", " − ", " * ", " × ", " · ", "+", "-"};
    std::string_view own = text_.substr(all.run.begin, all.run.end - all.run.begin);
    if (all.run.begin > 1 && at(all.run.begin - 1) == ' ' && is_digit(at(all.run.begin - 2)) && is_digit(own[0]) && own.find('/') != npos && !all.mark) {
      const NumberRun whole = plain(all.run.begin - 2);
      if (text_.substr(whole.begin, whole.end - whole.begin).find_first_of("./,") == npos && reads({whole.begin, all.run.end})) all.run.begin = whole.begin;
    }
    for (int i = 0; i < kMaxParts; ++i) {
      own = text_.substr(all.run.begin, all.run.end - all.run.begin);
      std::string_view link;
      for (const std::string_view sign : kOperators)
        if (link.empty() && ends(all.run.begin, sign)) link = sign;
      const bool power = link.empty() && ends(all.run.begin, " x ") && own.starts_with("10");
      if (power) link = " x ";
      if (link.empty() && (own.starts_with("√") || own.starts_with("π")) && ends(all.run.begin, " ")) link = " ";
      const size_t end = all.run.begin - link.size();
      if (link.empty() || end == 0) return;
      const Piece piece = before(end);
      if (piece.size == 0) return;
      const Tight more = tight({end - piece.size, end});
      if (more.run.end != end || !(all.mark || more.mark || piece.mark) || !reads({more.run.begin, all.run.end})) return;
      all.run.begin = more.run.begin, all.mark = true;
    }
  }

  // "x > 5", "2 < x ≤ 5", but not "> 5" in a quotation, "->", "<b>" and ">>".
  void take_relations(NumberRun& run) const {
    static constexpr std::array<std::string_view, 8> kRelations = {"<=", ">=", "!=", "<", ">", "≤", "≥", "≠"};
    size_t begin = run.begin;
    for (int i = 0; i < kMaxParts; ++i) {
      size_t end = begin;
      if (end > 0 && text_[end - 1] == ' ') --end;
      const auto* const sign = std::ranges::find_if(kRelations, [&](auto s) { return ends(end, s); });
      if (sign == kRelations.end()) break;
      end -= sign->size();
      const bool space = end > 0 && text_[end - 1] == ' ';
      const size_t stop = end - space;
      size_t side = stop;
      while (side > 0 && (is_letter(text_[side - 1]) || is_digit(text_[side - 1]) || text_[side - 1] == '.')) --side;
      if (side > 0 && (text_[side - 1] == '<' || text_[side - 1] == '/')) break;  // a tag
      if (space ? text_.substr(0, end).find_last_not_of(" \n") == npos || text_[text_.substr(0, end).find_last_not_of(' ')] == '\n' : side == stop) break;  // quotations, arrows
      begin = end;
      if (side == stop || (stop - side > 1 && is_letter(text_[side]))) break;  // words before it are none of its sides
      begin = with_sign({side, stop}).begin;
    }
    while (begin < run.begin && text_[begin] == ' ') ++begin;
    run.begin = begin;  // also where it cannot be read: "> 5" is not 5
  }

  static bool in_bracket(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return is_digit(c) || is_wide(c) || std::string_view("., -+/()[]{}^πxyzn").find(c) != npos; });
  }

  // (3, 4), [2, ∞), {1, 2}, and unions of such.
  bool take_bracket(NumberRun& run) const {
    const size_t open = text_.substr(0, run.begin).find_last_of("([{\n"), close = text_.find_first_of(")]}\n", run.end);
    if (open == npos || close == npos || text_[open] == '\n' || text_[close] == '\n' || close - open > kMaxRun) return false;
    const std::string_view inside = text_.substr(open + 1, close - open - 1);
    const size_t comma = inside.find(',');
    const bool groups = comma != npos && comma > 0 && is_digit(inside[comma - 1]) && comma + 4 <= inside.size() && is_digit(inside[comma + 1]) && is_digit(inside[comma + 2]) && is_digit(inside[comma + 3]);
    if (comma == npos || groups || !in_bracket(inside) || !reads({open, close + 1})) return false;
    run = {open, close + 1};
    for (const std::string_view link : {" ∪ ", "∪", " U "})
      if (ends(run.begin, link)) {
        const size_t other = text_.substr(0, run.begin).find_last_of("([\n");
        if (other != npos && text_[other] != '\n' && in_bracket(text_.substr(other, run.begin - link.size() - other)) && reads({other, run.end})) run.begin = other;
        break;
      }
    return true;
  }

  // 42 (40 + 2): the number that the bracket's remark is about.
  bool take_remark(NumberRun& run) const {
    const size_t close = text_.find_first_of("()\n", run.end), open = text_.substr(0, run.begin).find_last_of("()\n");
    if (open == npos || close == npos || text_[open] != '(' || text_[close] != ')' || close - open > kMaxRun || open < 2) return false;
    if (text_[open - 1] != ' ' || !(is_digit(text_[open - 2]) || text_[open - 2] == '%')) return false;
    const bool percent = text_[open - 2] == '%';
    if (percent && (open < 3 || !is_digit(text_[open - 3]))) return false;
    run = {with_sign(tight(plain(open - 2 - percent)).run).begin, close + 1};
    return true;
  }

  // "90 minutes" at a sentence's end, where all words are units that may be converted.
  void take_unit(NumberRun& run) const {
    const std::string_view rest = text_.substr(run.end, std::min<size_t>(text_.size() - run.end, 40));
    size_t end = rest.find_first_of(".,;:!?\n*)");
    if (end == npos && rest.size() == 40) return;
    if (end == npos) end = rest.size();
    if (end < 2 || rest[0] != ' ' || !is_letter(rest[1])) return;
    const Unit unit = read_unit(rest.substr(0, end));
    if (!unit.known || unit.powers.empty() || unit.powers.contains("person") || unit.powers.contains("unit")) return;
    if (reads({run.begin, run.end + end})) run.end += end;
  }

  // "12+ ways": at least 12, which nobody reads as 12. But x -> 0+ is a side.
  void take_open_end(NumberRun& run) const {
    const bool ends_there = run.end + 1 >= text_.size() || std::string_view(" \n.,;:!?)*$").find(at(run.end + 1)) != npos;
    if (at(run.end) != '+' || !ends_there) return;
    for (const std::string_view to : {"\u2192", "\u2192 ", "->", "-> ", "to "})
      if (ends(run.begin, to)) return;
    ++run.end;  // it cannot be read
  }

  std::optional<NumberRun> grown(NumberRun core) const {
    NumberRun run = core;
    if (take_bracket(run) || take_remark(run)) return run;
    Tight all = tight(core);
    if (!reads(all.run)) all = {core, false};
    take_words(all);
    take_terms(all);
    run = with_sign(all.run);
    if (!reads(run)) run = with_sign(core);
    take_relations(run);
    take_unit(run);
    take_open_end(run);
    return run;
  }

  std::string_view text_;
};

}  // namespace

std::optional<NumberRun> last_number(std::string_view text) { return Finder(text).run(); }

}  // namespace cohort::math
