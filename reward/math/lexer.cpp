// Text or LaTeX to tokens. Unknown commands are errors: what they mean would be a guess.
#include <algorithm>
#include <array>
#include <tuple>

#include "reward/math/budget.h"
#include "reward/math/commands.h"
#include "reward/math/letters.h"
#include "reward/math/token.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

bool is_blank(char c) { return is_space(c) || c == '~'; }

class Lexer {
 public:
  Lexer(std::string_view text, Commas commas) : text_(text), commas_(commas) {}

  Tokens run() {
    out_.latex = text_.find('\\') != std::string_view::npos;
    // Dollar signs come in pairs around formulas; one alone is money.
    int dollars = 0;
    for (size_t i = 0; i < text_.size(); ++i) dollars += text_[i] == '$' && (i == 0 || text_[i - 1] != '\\');
    money_ = dollars % 2 == 1;
    while (at_ < text_.size() && out_.error.empty()) {
      if (out_.list.size() >= kMaxTokens)
        fail("it has too many parts");
      else
        next();
    }
    push({.kind = Tok::kEnd});
    return std::move(out_);
  }

 private:
  void fail(std::string message) { out_.error = std::move(message); }

  void push(Token token) {
    token.space_before = space_;
    space_ = false;
    out_.list.push_back(std::move(token));
  }

  bool after(Tok kind) const { return !out_.list.empty() && out_.list.back().kind == kind; }

  // Of \frac: its first argument, or its second behind a bare one.
  bool is_bare_argument() const {
    const size_t n = out_.list.size();
    if (after(Tok::kFrac)) return true;
    return n > 1 && out_.list[n - 2].kind == Tok::kFrac && (after(Tok::kNumber) || after(Tok::kSymbol) || after(Tok::kConstant));
  }

  void push_meaning(const Meaning& meaning) {
    if (meaning.use == Use::kToken)
      push({.kind = meaning.kind, .name = std::string(meaning.name)});
    else
      space_ = true;
  }

  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  // The contents of the group at text_[at_], which is '{' (after spaces); moves behind it.
  std::string_view read_group() {
    while (is_blank(peek())) ++at_;
    if (peek() != '{') {
      const size_t begin = at_;
      if (at_ < text_.size()) ++at_;
      return text_.substr(begin, at_ - begin);
    }
    size_t depth = 0;
    for (size_t i = at_; i < text_.size(); ++i) {
      if (text_[i] == '\\') {
        ++i;
        continue;
      }
      depth += text_[i] == '{';
      if (text_[i] == '}' && --depth == 0) {
        const std::string_view inner = text_.substr(at_ + 1, i - at_ - 1);
        at_ = i + 1;
        return inner;
      }
    }
    fail("a '{' has no '}'");
    return {};
  }

  void next();
  void command();
  void skip_length();
  void letters();
  void number();
  void sign();
  bool superscript();
  void symbol(std::string name);
  void upright(std::string_view words);
  void text(std::string_view words);

  std::string_view text_;
  Commas commas_;
  Tokens out_;
  size_t at_ = 0;
  bool space_ = false;
  bool money_ = false;
};

void Lexer::next() {
  const char c = peek();
  if (is_blank(c)) {
    space_ = true;
    ++at_;
  } else if (literal_at(text_, at_)) {
    number();
  } else if (c == '\\') {
    command();
  } else if (is_letter(c)) {
    letters();
  } else {
    sign();
  }
}

void Lexer::number() {
  // After \frac, ^ and _ a bare digit is an argument by itself: \frac12 is a half.
  const bool root = after(Tok::kFunction) && out_.list.back().name == "sqrt" && !space_;
  const bool single = out_.latex && (after(Tok::kBinom) || is_bare_argument() || root);
  Token token{.kind = Tok::kNumber};
  if (single || (out_.latex && (after(Tok::kPower) || after(Tok::kSubscript)))) {
    token.value = peek() - '0';
    if (!is_digit(peek())) return fail("a point where a digit must stand");
    ++at_;
    return push(std::move(token));
  }
  std::optional<Literal> literal = read_literal(text_, at_, commas_);
  if (!literal) return fail("a number has too many digits");
  out_.ambiguous_commas |= literal->ambiguous;
  token.value = std::move(literal->value);
  token.decimals = static_cast<int16_t>(literal->decimals);
  token.power_of_ten = literal->power_of_ten;
  at_ = literal->end;
  push(std::move(token));
}

// A symbol, with the subscript that belongs to its name.
void Lexer::symbol(std::string name) {
  if (name == "e" || name == "i") {
    if (peek() != '_') return push({.kind = Tok::kConstant, .name = std::move(name)});
  }
  if (peek() == '_') {
    ++at_;
    std::string subscript;
    if (peek() == '\\') {
      ++at_;
      while (is_letter(peek())) subscript += text_[at_++];
      if (peek() == '{') subscript = read_group();
    } else {
      subscript = read_group();
    }
    name += '_';
    for (const char c : subscript)
      if (!is_blank(c) && c != '{' && c != '}') name += c;
  }
  // x\u2081 is x_1.
  for (bool first = true; text_.substr(at_).starts_with("\xE2\x82") && at_ + 2 < text_.size(); first = false, at_ += 3) {
    const int digit = static_cast<unsigned char>(text_[at_ + 2]) - 0x80;
    if (digit < 0 || digit > 9) break;
    if (first) name += '_';
    name += static_cast<char>('0' + digit);
  }
  push({.kind = Tok::kSymbol, .name = std::move(name)});
}

void Lexer::letters() {
  size_t end = at_;
  while (end < text_.size() && is_letter(text_[end])) ++end;
  std::string_view run = text_.substr(at_, end - at_);
  // After \frac a bare letter is an argument by itself, as a bare digit is: \frac ab is a/b.
  if (out_.latex && is_bare_argument()) run = run.substr(0, 1), end = at_ + 1;
  if (run.size() == 1) {
    at_ = end;
    return symbol(std::string(run));
  }
  if ((run == "negative" || run == "Negative" || run == "minus") && literal_at(text_, end + 1)) {  // "negative 3"
    at_ = end;
    return push({.kind = Tok::kMinus});
  }
  if (const Meaning* meaning = find_word(run)) {
    at_ = end;
    if (meaning->kind == Tok::kSymbol) return symbol(std::string(meaning->name));
    return push_meaning(*meaning);
  }
  if (after(Tok::kPower) && !space_) {  // a bare exponent is one letter: e^xe^y is e^x e^y
    ++at_;
    return symbol(std::string(run.substr(0, 1)));
  }
  if (end < text_.size() && text_[end] == '_') {  // "ax_1": the last letter bears the subscript
    at_ = end - 1;
    push({.kind = Tok::kWord, .name = std::string(run.substr(0, run.size() - 1))});
    return symbol(std::string(1, run.back()));
  }
  at_ = end;
  push({.kind = Tok::kWord, .name = std::string(run)});
}

// "10\u207B\u00B3": an exponent of raised digits, perhaps with a sign before them.
bool Lexer::superscript() {
  constexpr std::array<std::string_view, 10> kRaised = {"\u2070", "\u00B9", "\u00B2", "\u00B3", "\u2074", "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  constexpr size_t kLongest = 20;  // digits of an exponent
  constexpr std::string_view kMinus = "\u207B", kPlus = "\u207A";
  const std::string_view rest = text_.substr(at_);
  const bool minus = rest.starts_with(kMinus);
  size_t end = minus ? kMinus.size() : rest.starts_with(kPlus) ? kPlus.size() : 0;
  std::string digits;
  while (digits.size() <= kLongest) {
    const auto digit = std::ranges::find_if(kRaised, [&](std::string_view raised) { return rest.substr(end).starts_with(raised); });
    if (digit == kRaised.end()) break;
    digits += static_cast<char>('0' + (digit - kRaised.begin()));
    end += digit->size();
  }
  if (digits.empty()) return false;
  at_ += end;
  if (digits.size() > kLongest) return fail("a number has too many digits"), true;
  push({.kind = Tok::kPower});
  if (minus) push({.kind = Tok::kGroupOpen});
  if (minus) push({.kind = Tok::kMinus});
  push({.kind = Tok::kNumber, .value = mpq_class(mpz_class(digits, 10))});
  if (minus) push({.kind = Tok::kGroupClose});
  return true;
}

// \text{...}: words, unless what stands in it is no word ("\text{(A)}", "\text{ or }").
void Lexer::text(std::string_view words) {
  size_t letters = 0, longest = 0;
  for (const char c : words) {
    letters = is_letter(c) || is_wide(c) ? letters + 1 : 0;
    longest = std::max(longest, letters);
  }
  const std::string_view word = trim(words);
  const bool behind_value =
      after(Tok::kNumber) || after(Tok::kClose) || after(Tok::kGroupClose) || after(Tok::kConstant);
  const bool unit = behind_value && !word.empty() && is_letter(word[0]);  // "5\text{ m/s}"
  if (longest >= 2 || unit || (word.size() == 1 && longest == 1)) return upright(words);
  Tokens inner = Lexer(words, commas_).run();
  if (!inner.error.empty()) return fail(std::move(inner.error));
  inner.list.pop_back();
  for (Token& token : inner.list) out_.list.push_back(std::move(token));
}

// \mathrm{...}, \mathbb{...}: a set's letter, a function, a constant, a currency's sign, or words.
void Lexer::upright(std::string_view words) {
  words = trim(words);
  if (const Meaning* sign = find_sign(words); sign && sign->text == words && sign->kind == Tok::kCurrency) return push_meaning(*sign);
  if (words == "e" || words == "i") return push({.kind = Tok::kConstant, .name = std::string(words)});
  if (const Meaning* meaning = find_word(words); meaning && meaning->kind != Tok::kSymbol)
    return push_meaning(*meaning);
  push({.kind = Tok::kText, .name = std::string(words)});
}

void Lexer::command() {
  ++at_;
  size_t end = at_;
  while (end < text_.size() && is_letter(text_[end])) ++end;
  if (end == at_ && end < text_.size()) ++end;
  const std::string_view name = text_.substr(at_, end - at_);
  // Around a displayed formula; a backslash and a space, also where the text's end has lost its space.
  if (name == "[" || name == "]" || name.empty() || is_blank(name[0])) {
    at_ = end;
    space_ = true;
    return;
  }
  const Meaning* meaning = find_command(name);
  if (!meaning) return fail("the command \\" + std::string(name.substr(0, 20)) + " is not known");
  at_ = end;
  if (name == "left" || name == "right" || name == "middle") {
    while (is_blank(peek())) ++at_;
    if (peek() == '.') ++at_;
    return;
  }
  switch (meaning->use) {
    case Use::kSkip:
      if (!(after(Tok::kPower) || after(Tok::kSubscript) || after(Tok::kFrac))) space_ = true;
      return;
    case Use::kSkipGroup:
      read_group();
      return;
    case Use::kText:
      return text(read_group());
    case Use::kUpright: {
      if (peek() == '*') ++at_;
      const std::string_view words = read_group();
      if (name == "mathbb" || name == "mathds") return push({.kind = Tok::kSet, .name = std::string(words)});
      return upright(words);
    }
    case Use::kToken:
      break;
  }
  if (meaning->kind == Tok::kBegin || meaning->kind == Tok::kEndEnvironment) {
    push({.kind = meaning->kind, .name = std::string(read_group())});
    if (out_.list.back().name == "array" && meaning->kind == Tok::kBegin && peek() == '{') read_group();
    return;
  }
  if (meaning->kind == Tok::kSymbol) {
    if (is_blank(peek()) && at_ + 1 < text_.size() && text_[at_ + 1] == '_') ++at_;
    return symbol(std::string(meaning->name));
  }
  push_meaning(*meaning);
  if (meaning->kind == Tok::kRow) skip_length();
}

// \\[4pt]: the space between two rows.
void Lexer::skip_length() {
  static constexpr std::array<std::string_view, 9> kUnits = {"pt", "em", "ex", "mm", "cm", "in", "px", "mu", "bp"};
  if (peek() != '[') return;
  const size_t close = text_.find(']', at_);
  if (close == std::string_view::npos) return;
  std::string_view length = trim(text_.substr(at_ + 1, close - at_ - 1));
  const size_t digits = length.find_first_not_of("-.0123456789 ");
  if (digits == 0 || digits == std::string_view::npos || std::ranges::find(kUnits, length.substr(digits)) == kUnits.end()) return;
  at_ = close + 1;
}

void Lexer::sign() {
  const char c = peek();
  const std::string_view rest = text_.substr(at_);
  struct Sign {
    std::string_view text;
    Tok kind;
    std::string_view name;
  };
  static constexpr Sign kSigns[] = {
      {"**", Tok::kPower, ""},       {"<=", Tok::kRelation, "["}, {">=", Tok::kRelation, "]"},
      {"!=", Tok::kRelation, "#"},   {"==", Tok::kRelation, "="}, {"=>", Tok::kArrow, ""},
      {"->", Tok::kArrow, ""},       {"...", Tok::kDots, ""},     {"+-", Tok::kPlusMinus, "+"},
      {"+/-", Tok::kPlusMinus, "+"}, {"+", Tok::kPlus, ""},       {"-", Tok::kMinus, ""},
      {"*", Tok::kTimes, ""},        {"/", Tok::kDivide, ""},     {"^", Tok::kPower, ""},
      {"_", Tok::kSubscript, ""},    {"!", Tok::kFactorial, ""},  {"%", Tok::kPercent, ""},
      {"'", Tok::kPrime, ""},        {"=", Tok::kRelation, "="},  {"<", Tok::kRelation, "<"},
      {">", Tok::kRelation, ">"},    {"(", Tok::kOpen, "("},      {")", Tok::kClose, ")"},
      {"[", Tok::kOpen, "["},        {"]", Tok::kClose, "]"},     {"{", Tok::kGroupOpen, ""},
      {"}", Tok::kGroupClose, ""},   {"|", Tok::kBar, ""},        {",", Tok::kComma, ""},
      {";", Tok::kSemicolon, ""},    {":", Tok::kColon, ""},      {"&", Tok::kAmpersand, ""},
  };
  if (c == '$') {
    ++at_;
    if (money_ && (literal_at(text_, at_) || (peek() == ' ' && literal_at(text_, at_ + 1)))) {
      money_ = false;
      return push({.kind = Tok::kCurrency, .name = "dollar"});
    }
    space_ = true;
    return;
  }
  if (rest.starts_with("{}^") || rest.starts_with("{}_")) {  // 45{}^\circ
    at_ += 2;
    return;
  }
  if (!is_wide(c)) {
    const Sign* best = nullptr;
    for (const Sign& s : kSigns)
      if (rest.starts_with(s.text) && (!best || s.text.size() > best->text.size())) best = &s;
    // "6!=720" hardly means "6 is not 720", but "x!=3" does.
    if (best && best->text == "!=" && after(Tok::kNumber)) {
      at_ += 1;
      return push({.kind = Tok::kFactorial});
    }
    if (c == '.' && at_ + 1 == text_.size()) {  // the full stop of a sentence
      ++at_;
      return;
    }
    if (!best) return fail(std::string("the sign '") + c + "' has no meaning here");
    at_ += best->text.size();
    return push({.kind = best->kind, .name = std::string(best->name)});
  }
  if (const Meaning* meaning = find_sign(rest)) {
    at_ += meaning->text.size();
    return meaning->kind == Tok::kSymbol ? symbol(std::string(meaning->name)) : push_meaning(*meaning);
  }
  if (superscript()) return;
  static constexpr std::tuple<std::string_view, int, int> kFractions[] = {{"\u00BD", 1, 2}, {"\u00BC", 1, 4}, {"\u00BE", 3, 4},
                                                                          {"\u2153", 1, 3}, {"\u2154", 2, 3}, {"\u215B", 1, 8}};
  for (const auto& [text, numerator, denominator] : kFractions) {
    if (!rest.starts_with(text)) continue;
    at_ += text.size();
    return push({.kind = Tok::kNumber, .name = "fraction", .value = mpq_class(numerator, denominator)});
  }
  const size_t begin = at_;  // letters of other scripts: words
  while (at_ < text_.size() && is_wide(text_[at_]) && !find_sign(text_.substr(at_))) ++at_;
  push({.kind = Tok::kWord, .name = std::string(text_.substr(begin, at_ - begin))});
}

}  // namespace

Tokens read_tokens(std::string_view text, Commas commas) {
  if (text.size() > kMaxAnswerBytes) return {.error = "it is too long"};
  return Lexer(text, commas).run();
}

}  // namespace cohort::math
