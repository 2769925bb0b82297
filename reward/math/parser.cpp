#include "reward/math/parser.h"

#include <algorithm>
#include <array>

#include "reward/math/letters.h"
#include "reward/math/parser_impl.h"
#include "reward/math/readings.h"
#include "reward/math/units.h"
#include "reward/math/words.h"

namespace cohort::math {
namespace {

// Words before a value that say nothing about it.
constexpr std::array<std::string_view, 20> kFillers = {"exactly", "is",    "are",   "equals", "equal", "to", "the", "answer", "value", "of",
                                                       "only",    "just",  "final", "total",  "at",    "be", "a",   "an",     "or",    "it"};

bool is_filler(std::string_view words) {
  const std::string text = lower(words);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view word = std::string_view(text).substr(at, end - at);
    const bool filler = std::ranges::find(kFillers, word) != kFillers.end() || std::ranges::find(kNearWords, word) != kNearWords.end();
    if (!word.empty() && !filler) return false;
    at = end + 1;
  }
  return true;
}

bool says_about(std::string_view words) {
  const std::string text = lower(words);
  return std::ranges::any_of(kNearWords, [&](std::string_view word) { return text.find(word) != text.npos; });
}

bool is_separator(Tok kind) {
  return kind == Tok::kComma || kind == Tok::kSemicolon || kind == Tok::kOr || kind == Tok::kAnd;
}

}  // namespace

Expr Parser::fail(std::string message) {
  if (error_.empty()) error_ = std::move(message);
  at_ = tokens_.size() - 1;
  return {};
}

const Token& Parser::peek(size_t ahead) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }

bool Parser::take(Tok kind) {
  if (!is(kind)) return false;
  ++at_;
  return true;
}

Expr Parser::answer() {
  separator_ = "";
  std::vector<Expr> list = items();
  while (!failed() && take(Tok::kRow)) {  // a line's end behind all of it
  }
  if (!failed() && !is(Tok::kEnd)) fail("something is left over after the answer");
  if (!failed() && list.empty()) fail("it is empty");
  if (failed()) return {};
  return list.size() == 1 ? std::move(list[0]) : node(Kind::kList, std::move(list), separator_);
}

// Items between separators; a separator may stand at the end, and two in a row (", and") are one.
std::vector<Expr> Parser::items() {
  std::vector<Expr> list;
  const Depth depth(*this);
  while (!failed() && !at_item_end()) {
    list.push_back(item());
    if (!is_separator(peek().kind)) break;
    for (; is_separator(peek().kind); ++at_)
      if (is(Tok::kOr) || is(Tok::kAnd)) separator_ = is(Tok::kOr) ? "or" : "and";
  }
  return list;
}

bool Parser::at_item_end() const {
  switch (peek().kind) {
    case Tok::kEnd:
    case Tok::kClose:
    case Tok::kGroupClose:
    case Tok::kAmpersand:
    case Tok::kRow:
    case Tok::kEndEnvironment:
    case Tok::kComma:
    case Tok::kSemicolon:
    case Tok::kOr:
    case Tok::kAnd:
      return true;
    case Tok::kBar:
      return bars_ > 0;
    case Tok::kColon:
      return in_set_;
    case Tok::kRelation:
      return angles_ > 0 && peek().name == ">";
    default:
      return false;
  }
}

Expr Parser::item() {
  const Depth depth(*this);
  if (failed()) return {};
  if (is(Tok::kDots)) {
    ++at_;
    return symbol("...");
  }
  std::vector<Expr> sides;
  std::string relations;
  if (is(Tok::kRelation) && (peek().name == "~" || peek().name == "=")) {  // "= 5", "about 3.14"
    relations = peek().name;
    sides.push_back(node(Kind::kText, {}));
    ++at_;
  }
  sides.push_back(is(Tok::kWord) || is(Tok::kText) ? words_first() : side());
  while (!failed()) {
    if (is(Tok::kArrow)) {  // only what follows from it counts
      ++at_;
      sides.clear();
      relations.clear();
    } else if (is(Tok::kRelation) && !(angles_ > 0 && peek().name == ">")) {
      relations += peek().name;
      ++at_;
      // "=-" and "= about" and a relation written twice ("= \\approx") are no use to anybody.
      if (is(Tok::kRelation)) return fail("two relations stand side by side");
    } else if (is(Tok::kColon) && sides.size() == 1 && !in_set_) {  // "3 : 2", "Answer: 5"
      ++at_;
      if (sides[0].is(Kind::kText)) {
        sides.clear();
      } else {
        std::vector<Expr> parts;
        parts.push_back(std::move(sides[0]));
        do parts.push_back(side());
        while (!failed() && take(Tok::kColon));
        if (failed()) return {};
        sides.clear();
        sides.push_back(parts.size() == 2 ? quotient(std::move(parts[0]), std::move(parts[1]))
                                          : node(Kind::kTuple, std::move(parts), "::"));
        continue;
      }
    } else {
      break;
    }
    sides.push_back(is(Tok::kWord) || is(Tok::kText) ? words_first() : side());
  }
  if (failed()) return {};
  if (is(Tok::kMod) || (is(Tok::kOpen, "(") && is(Tok::kMod, 1))) {
    const bool open = take(Tok::kOpen);
    ++at_;
    const bool inner = !open && is(Tok::kOpen, "(");
    std::vector<Expr> args;
    args.push_back(std::move(sides.back()));
    args.push_back(inner ? brackets() : is(Tok::kGroupOpen) ? group() : sum());
    if (open && !take(Tok::kClose)) return fail("a '(' has no ')'");
    if (!open && relations.empty() && args[0].is_integer() && args[1].is_integer() && args[1].value > 0) {
      mpz_class rest;  // 7 mod 3 is the number 1
      mpz_fdiv_r(rest.get_mpz_t(), args[0].value.get_num_mpz_t(), args[1].value.get_num_mpz_t());
      return number(rest);
    }
    sides.back() = node(Kind::kFunction, std::move(args), "mod");
  }
  if (!at_item_end()) return fail("something does not fit behind " + to_text(sides.back(), 40));
  if (sides.size() == 1) return std::move(sides[0]);
  return node(Kind::kRelation, std::move(sides), std::move(relations));
}

// An item that begins with a word: letters of a product, words before a value, the name of a quantity, or plain words.
Expr Parser::words_first() {
  const size_t begin = at_;
  const bool single_word = !is(Tok::kText) && peek().name.size() <= 3 && !is_unit_word(peek().name);
  std::string words;
  size_t end = at_;
  for (; tokens_[end].kind == Tok::kWord || tokens_[end].kind == Tok::kText ||
         (end > begin && tokens_[end].kind == Tok::kSymbol && tokens_[end].space_before) ||
         (end > begin && tokens_[end].kind == Tok::kPrime);
       ++end) {
    if (!words.empty() && tokens_[end].kind != Tok::kPrime) words += ' ';
    words += tokens_[end].kind == Tok::kPrime ? "'" : tokens_[end].name;
  }
  at_ = end;
  if (at_item_end() || is(Tok::kRelation) || is(Tok::kColon) || is(Tok::kArrow)) {
    // "xy = 5" and "ln(xy)" have products; longer words, several, or a word that is all of the answer, are words.
    const bool alone = begin == 0 && is(Tok::kEnd);
    if (!single_word || end != begin + 1 || alone) return node(Kind::kText, {}, words);
  }
  if (is_filler(words)) {
    if (!says_about(words)) return side();
    std::vector<Expr> sides;  // as behind a sign for it
    sides.push_back(node(Kind::kText, {}));
    sides.push_back(side());
    return node(Kind::kRelation, std::move(sides), "~");
  }
  at_ = begin;
  if (single_word) return side();
  return fail("the words '" + words.substr(0, 40) + "' stand before something else");
}

// "8 feet 4 inches", "1 hour 30 minutes": each one less than the one before, and of its kind.
Expr Parser::measures() {
  Expr total = with_unit(sum());
  while (!failed() && total.is(Kind::kUnit) && is(Tok::kNumber)) {
    const size_t before = at_;
    Expr next = with_unit(literal());
    if (failed()) return {};
    const Unit large = read_unit(total.name), small = next.is(Kind::kUnit) ? read_unit(next.name) : Unit();
    if (!next.is(Kind::kUnit) || !large.known || !small.known || large.powers != small.powers || small.factor >= large.factor) {
      at_ = before;
      return total;
    }
    // In the smaller unit.
    std::vector<Expr> terms;
    terms.push_back(product(std::move(total.args[0]), number(large.factor / small.factor)));
    terms.push_back(std::move(next.args[0]));
    next.args[0] = terms[0].is(Kind::kNumber) && terms[1].is(Kind::kNumber) ? number(terms[0].value + terms[1].value) : node(Kind::kAdd, std::move(terms));
    total = std::move(next);
  }
  return total;
}

Expr Parser::side() {
  if (failed()) return {};
  Expr left = measures();
  for (int depth = 0; !failed(); ++depth) {
    if (depth > kMaxDepth) return fail("it is nested too deeply");
    Kind kind = Kind::kUnion;
    // In plain text a capital U between brackets is a union.
    const bool letter = is(Tok::kSymbol, "U") && is(Tok::kOpen, 1) && at_ > 0 &&
                        (tokens_[at_ - 1].kind == Tok::kClose || tokens_[at_ - 1].kind == Tok::kGroupClose);
    if (is(Tok::kIntersection))
      kind = Kind::kIntersection;
    else if (is(Tok::kDifference))
      kind = Kind::kDifference;
    else if (!is(Tok::kUnion) && !letter)
      break;
    ++at_;
    std::vector<Expr> args;
    args.push_back(std::move(left));
    args.push_back(with_unit(sum()));
    left = node(kind, std::move(args));
  }
  return left;
}

Expr Parser::with_unit(Expr value) {
  if (failed()) return {};
  std::string words = unit_words();
  if (words.empty()) return value;
  if (changes_value(words)) return fail("the words '" + words.substr(0, 40) + "' behind a value are no unit");
  struct Scale {
    std::string_view word;
    int64_t factor;
  };
  static constexpr Scale kScales[] = {{"dozen", 12},
                                      {"dozens", 12},
                                      {"hundred", 100},
                                      {"thousand", 1000},
                                      {"million", 1'000'000},
                                      {"billion", 1'000'000'000},
                                      {"trillion", 1'000'000'000'000}};
  for (const Scale& scale : kScales) {
    if (!words.starts_with(scale.word)) continue;
    const size_t length = scale.word.size();
    if (words.size() > length && words[length] != ' ') continue;
    Expr& inner = value.is(Kind::kUnit) ? value.args[0] : value;
    inner = product(std::move(inner), number(mpz_class(static_cast<long>(scale.factor))));
    if (words.size() <= length + 1) return value;
    words = words.substr(length + 1);
    break;
  }
  if (value.is(Kind::kUnit)) {  // "$5 per hour": one unit after the other
    value.name += ' ' + words;
    return value;
  }
  if (value.is(Kind::kDegree)) {  // degrees Celsius
    value.kind = Kind::kUnit;
    value.name = words;
    return value;
  }
  std::vector<Expr> args;
  args.push_back(std::move(value));
  return node(Kind::kUnit, std::move(args), words);
}

// The words of a unit behind a value, with their powers and quotients; "" when none follows.
std::string Parser::unit_words() {
  std::string words;
  while (true) {
    const Token& t = peek();
    const bool inches = t.kind == Tok::kRelation && t.name == "e" && at_ > 0 && tokens_[at_ - 1].kind == Tok::kNumber &&
                        (is(Tok::kEnd, 1) || is(Tok::kPower, 1) || is(Tok::kClose, 1));
    if (t.kind == Tok::kWord || t.kind == Tok::kText || t.kind == Tok::kCurrency || inches) {
      words += words.empty() ? "" : " ";
      words += inches ? "in" : t.name;
    } else if (t.kind == Tok::kSymbol && t.name.size() == 1 &&
               (!words.empty() || (at_ > 0 && t.space_before && (tokens_[at_ - 1].kind == Tok::kNumber || tokens_[at_ - 1].kind == Tok::kGroupClose)) ||
                (at_ > 0 && tokens_[at_ - 1].kind == Tok::kDegree))) {
      words += words.empty() ? "" : " ";
      words += t.name;
    } else if (unit_fraction_follows()) {  // \frac{\text{m}}{\text{s}}
      words += (words.empty() ? "" : " ") + peek(2).name + "/" + peek(5).name;
      at_ += 6;
    } else if (words.empty()) {
      return words;
    } else if (t.kind == Tok::kPower) {
      words += '^';
    } else if (t.kind == Tok::kNumber && at_ > 0 &&
               (tokens_[at_ - 1].kind == Tok::kPower || tokens_[at_ - 1].kind == Tok::kGroupOpen ||
                tokens_[at_ - 1].kind == Tok::kMinus) &&
               t.value.get_den() == 1) {
      words += t.value.get_num().get_str().substr(0, 3);
    } else if (t.kind == Tok::kMinus && at_ > 0 &&
               (tokens_[at_ - 1].kind == Tok::kGroupOpen || tokens_[at_ - 1].kind == Tok::kPower)) {
      words += '-';
    } else if (t.kind == Tok::kGroupOpen && tokens_[at_ - 1].kind == Tok::kPower) {
      words += '{';
    } else if (t.kind == Tok::kGroupClose && words.find('{') != std::string::npos &&
               words.find('}') == std::string::npos) {
      words += '}';
    } else if (t.kind == Tok::kDivide) {
      words += '/';
    } else if (t.kind == Tok::kTimes) {
      words += ' ';
    } else {
      return words;
    }
    ++at_;
  }
}

Expr Parser::sum() {
  const Depth depth(*this);
  if (failed()) return {};
  std::vector<Expr> terms;
  bool first = true;
  while (!failed()) {
    if (take(Tok::kPlus)) {
      terms.push_back(!first && take(Tok::kMinus) ? negated(term()) : term());
    } else if (take(Tok::kMinus)) {
      terms.push_back(!first && take(Tok::kMinus) ? term() : negated(term()));
    } else if (is(Tok::kPlusMinus)) {
      std::string name = peek().name;
      ++at_;
      std::vector<Expr> args;
      args.push_back(term());
      terms.push_back(node(Kind::kPlusMinus, std::move(args), std::move(name)));
    } else if (first) {
      terms.push_back(term());
    } else {
      break;
    }
    first = false;
  }
  if (failed()) return {};
  if (terms.size() == 1) return std::move(terms[0]);
  return node(Kind::kAdd, std::move(terms));
}

Parsed parse_answer(std::string_view text, Commas commas) {
  std::string rewritten;
  if (text.size() <= kMaxAnswerBytes && (text.find("\\over") != text.npos || text.find("\\choose") != text.npos))
    text = rewritten = without_infix(text);
  const Tokens tokens = read_tokens(text, commas);
  Parsed parsed{.ambiguous_commas = tokens.ambiguous_commas, .error = tokens.error};
  if (!parsed.ok()) return parsed;
  Parser parser(tokens);
  parsed.expr = parser.answer();
  parsed.error = parser.error();
  return parsed;
}

}  // namespace cohort::math
