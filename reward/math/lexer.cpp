// Text or LaTeX to tokens. Unknown commands are errors: what they mean would be a guess.
#include <algorithm>
#include <array>

#include "reward/math/budget.h"
#include "reward/math/commands.h"
#include "reward/math/token.h"
#include "reward/options.h"

namespace cohort::math {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v' || c == '~'; }

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

  void push_meaning(const Meaning& meaning) {
    if (meaning.use == Use::kToken)
      push({.kind = meaning.kind, .name = std::string(meaning.name)});
    else
      space_ = true;
  }

  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  // The contents of the group at text_[at_], which is '{' (after spaces); moves behind it.
  std::string_view read_group() {
    while (is_space(peek())) ++at_;
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
  if (is_space(c)) {
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
  // After \frac, ^ and _ a bare digit is an argument by itself: \frac12 is a half. So it is for the second argument.
  const size_t n = out_.list.size();
  const bool second = n > 1 && out_.list[n - 2].kind == Tok::kFrac && after(Tok::kNumber);
  const bool root = after(Tok::kFunction) && out_.list.back().name == "sqrt" && !space_;
  const bool single = out_.latex && (after(Tok::kFrac) || after(Tok::kBinom) || second || root);
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
      if (!is_space(c) && c != '{' && c != '}') name += c;
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
    letters = is_letter(c) || static_cast<unsigned char>(c) >= 0x80 ? letters + 1 : 0;
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

// \mathrm{...}, \mathbb{...}: a set's letter, a function, a constant, or words.
void Lexer::upright(std::string_view words) {
  words = trim(words);
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
  if (name == "[" || name == "]") {  // around a displayed formula
    at_ = end;
    space_ = true;
    return;
  }
  const Meaning* meaning = find_command(name);
  if (!meaning) return fail("the command \\" + std::string(name.substr(0, 20)) + " is not known");
  at_ = end;
  if (name == "left" || name == "right" || name == "middle") {
    while (is_space(peek())) ++at_;
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
    if (is_space(peek()) && at_ + 1 < text_.size() && text_[at_ + 1] == '_') ++at_;
    return symbol(std::string(meaning->name));
  }
  push_meaning(*meaning);
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
  if (static_cast<unsigned char>(c) < 0x80) {
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
  struct Fraction {
    std::string_view text;
    int numerator, denominator;
  };
  static constexpr Fraction kFractions[] = {{"\u00BD", 1, 2}, {"\u00BC", 1, 4}, {"\u00BE", 3, 4},
                                            {"\u2153", 1, 3}, {"\u2154", 2, 3}, {"\u215B", 1, 8}};
  for (const Fraction& f : kFractions) {
    if (!rest.starts_with(f.text)) continue;
    at_ += f.text.size();
    return push({.kind = Tok::kNumber, .name = "fraction", .value = mpq_class(f.numerator, f.denominator)});
  }
  const size_t begin = at_;  // letters of other scripts: words
  while (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) >= 0x80 && !find_sign(text_.substr(at_))) ++at_;
  push({.kind = Tok::kWord, .name = std::string(text_.substr(begin, at_ - begin))});
}

}  // namespace

Tokens read_tokens(std::string_view text, Commas commas) {
  if (text.size() > kMaxAnswerBytes) return {.error = "it is too long"};
  return Lexer(text, commas).run();
}

}  // namespace cohort::math
