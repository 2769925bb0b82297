// Terms: products, powers, and the parts that they are made of.
#include <optional>

#include "reward/math/number_text.h"
#include "reward/math/number_words.h"
#include "reward/math/parser_impl.h"
#include "reward/math/units.h"

namespace cohort::math {
namespace {

constexpr int64_t kMaxPowerOfTen = 4000;

bool plain_integer(const Token& token) {
  return token.kind == Tok::kNumber && token.decimals == 0 && token.power_of_ten == 0 && token.value.get_den() == 1 &&
         token.name.empty();
}

size_t bits(const Expr& e) {
  return mpz_sizeinbase(e.value.get_num_mpz_t(), 2) + mpz_sizeinbase(e.value.get_den_mpz_t(), 2);
}

// Numbers are multiplied while parsing, unless that would be much work.
bool fold(const Expr& a, const Expr& b) {
  return a.is(Kind::kNumber) && b.is(Kind::kNumber) && bits(a) + bits(b) <= kMaxBits;
}

// A factor that is letters alone: "x", "xy"; "" for others.
std::string letters_of(const Expr& e, Tok begin) {
  if (begin == Tok::kWord) return spelled(e);
  const bool letter =
      (begin == Tok::kSymbol && e.is(Kind::kSymbol)) || (begin == Tok::kConstant && e.is(Kind::kConstant));
  return letter && e.name.size() == 1 ? e.name : "";
}

}  // namespace

Expr product(Expr a, Expr b) {
  if (fold(a, b)) return number(a.value * b.value);
  if (a.is(Kind::kMul)) {
    if (!spelled(a).empty()) a.name.clear();
    a.args.push_back(std::move(b));
    return a;
  }
  std::vector<Expr> args;
  args.push_back(std::move(a));
  args.push_back(std::move(b));
  return node(Kind::kMul, std::move(args));
}

Expr quotient(Expr a, Expr b) {
  if (fold(a, b) && b.value != 0) return number(a.value / b.value);
  std::vector<Expr> args;
  args.push_back(std::move(b));
  args.push_back(number(-1));
  return product(std::move(a), node(Kind::kPow, std::move(args)));
}

Expr Parser::term() {
  const Depth depth(*this);
  if (failed()) return {};
  if (is(Tok::kCurrency)) {
    std::string name = peek().name;
    ++at_;
    std::vector<Expr> args;
    args.push_back(take(Tok::kMinus) ? negated(term()) : term());
    return node(Kind::kUnit, std::move(args), std::move(name));
  }
  const Tok begin = peek().kind;
  Expr left = factor();
  std::string letters = letters_of(left, begin);
  bool first = true;  // `left` is the first factor: a literal may begin a mixed number
  while (!failed()) {
    if (is(Tok::kTimes) || is(Tok::kDivide)) {
      const bool divide = is(Tok::kDivide);
      letters.clear();
      ++at_;
      Expr right = is(Tok::kMinus) ? (++at_, negated(factor())) : factor();
      left = divide ? quotient(std::move(left), std::move(right)) : product(std::move(left), std::move(right));
    } else if (first && mixed_fraction_follows(left)) {
      // What stands behind it is of the whole: 62\frac12\% are 62.5 percent.
      const Expr part = is(Tok::kNumber) ? plain_fraction() : fraction();
      left = postfix(number(left.value + part.value));
    } else if (factor_follows(left)) {
      // "2 x 10^5": the letter is a sign of multiplication between numbers.
      if (is(Tok::kSymbol, "x") && peek().space_before && left.is(Kind::kNumber) && is(Tok::kNumber, 1)) {
        ++at_;
        left = product(std::move(left), factor());
      } else {
        const bool call = left.is(Kind::kSymbol) && is(Tok::kOpen, "(") && !peek().space_before;
        const Tok kind = peek().kind;
        Expr right = factor();
        const std::string more = letters_of(right, kind);
        letters = letters.empty() || more.empty() ? "" : letters + more;
        left = product(std::move(left), std::move(right));
        if (call) left.name = "call";  // f(x), or a product: the comparison sees which
      }
    } else {
      break;
    }
    first = false;
  }
  if (letters.size() > 1 && left.is(Kind::kMul)) left.name = '"' + letters;
  return left;
}

// Does a factor follow without a sign of multiplication?
bool Parser::factor_follows(const Expr& before) const {
  switch (peek().kind) {
    case Tok::kSymbol:
      return !(is(Tok::kSymbol, "U") && is(Tok::kOpen, 1) && tokens_[at_ - 1].kind == Tok::kClose) &&
             !symbol_is_unit(before);
    case Tok::kConstant:
    case Tok::kFunction:
    case Tok::kFrac:
      return !unit_fraction_follows();
    case Tok::kBinom:
    case Tok::kGroupOpen:
    case Tok::kDecoration:
    case Tok::kBegin:
      return true;
    case Tok::kNumber:
      // "x^23" in LaTeX is x^2 times 3.
      return !before.is(Kind::kNumber) &&
             (tokens_[at_ - 1].kind != Tok::kNumber || (latex_ && at_ > 1 && tokens_[at_ - 2].kind == Tok::kPower));
    case Tok::kOpen:
      return peek().name != "{" && peek().name != "<" && !is(Tok::kMod, 1);
    case Tok::kBar:
      return bars_ == 0 && before.is(Kind::kNumber);
    case Tok::kWord:
      // Letters of a product, unless other words stand beside them.
      return peek().name.size() <= 3 && !is_unit_word(peek().name) &&
             static_cast<unsigned char>(peek().name[0]) < 0x80 && tokens_[at_ - 1].kind != Tok::kWord &&
             !is(Tok::kWord, 1) && !is(Tok::kText, 1);
    default:
      return false;
  }
}

// "5 m" at the end of an item: metres, when a space stands between and nothing comes behind that a product would have.
bool Parser::symbol_is_unit(const Expr& before) const {
  // 3\times10^8 m/s, 2.5\times10^{3} m/s^2: behind a constant at the end, where letters of a formula would hardly have a space before them.
  const bool speed = is(Tok::kSymbol, "m") && peek().space_before && is(Tok::kDivide, 1) && is(Tok::kSymbol, 2) && peek(2).name == "s" &&
                     (is(Tok::kEnd, 3) || (is(Tok::kPower, 3) && is(Tok::kNumber, 4) && is(Tok::kEnd, 5)));
  if (speed && !has_symbols(before) && (tokens_[at_ - 1].kind == Tok::kNumber || tokens_[at_ - 1].kind == Tok::kGroupClose)) return true;
  if (!before.is(Kind::kNumber) || !peek().space_before || peek().name.size() != 1 || latex_) return false;
  if (!is_unit_word(peek().name)) return false;
  size_t ahead = 1;
  if (is(Tok::kPower, 1)) {
    ahead += 2 + 2 * is(Tok::kGroupOpen, 2);
    if (!is(Tok::kNumber, ahead - 1) && !is(Tok::kGroupClose, ahead - 1)) return false;
  }
  const Tok next = peek(ahead).kind;
  return next == Tok::kEnd || next == Tok::kComma || next == Tok::kOr || next == Tok::kAnd || next == Tok::kDivide;
}

bool Parser::unit_fraction_follows() const {
  return is(Tok::kFrac) && is(Tok::kGroupOpen, 1) && is(Tok::kText, 2) && is(Tok::kGroupClose, 3) &&
         is(Tok::kGroupOpen, 4) && is(Tok::kText, 5) && is(Tok::kGroupClose, 6);
}

bool Parser::mixed_fraction_follows(const Expr& before) const {
  if (!before.is(Kind::kNumber) || !before.literal || before.decimals > 0 || before.value.get_den() != 1) return false;
  if (tokens_[at_ - 1].kind != Tok::kNumber) return false;
  if (is(Tok::kNumber)) {
    if (peek().name == "fraction") return true;
    return peek().space_before && is(Tok::kDivide, 1) && plain_integer(peek()) && plain_integer(peek(2)) &&
           peek().value > 0 && peek().value < peek(2).value && !is(Tok::kPower, 3);
  }
  if (!is(Tok::kFrac)) return false;
  size_t ahead = 1;
  for (int part = 0; part < 2; ++part) {
    const bool braces = is(Tok::kGroupOpen, ahead);
    ahead += braces;
    if (!plain_integer(peek(ahead)) || peek(ahead).value == 0) return false;
    ++ahead;
    if (braces && !is(Tok::kGroupClose, ahead)) return false;
    ahead += braces;
  }
  return !is(Tok::kPower, ahead);
}

Expr Parser::plain_fraction() {
  if (peek().name == "fraction") return literal();
  Expr top = literal();
  ++at_;
  return quotient(std::move(top), literal());
}

Expr Parser::factor() {
  const Depth depth(*this);
  if (failed()) return {};
  return postfix(primary());
}

Expr Parser::postfix(Expr base) {
  for (int depth = 0; !failed(); ++depth) {
    if (depth > kMaxDepth) return fail("it is nested too deeply");
    std::vector<Expr> args;
    if (is(Tok::kPower)) {
      const bool braces = is(Tok::kGroupOpen, 1);
      if (is(Tok::kDegree, 1 + braces)) {
        at_ += 2 + braces;
        if (braces && !take(Tok::kGroupClose)) return fail("a '{' has no '}'");
        base = degrees(std::move(base));
        continue;
      }
      if (is(Tok::kPrime, 1 + braces) && base.is(Kind::kSymbol)) {
        at_ += 2 + braces;
        while (braces && take(Tok::kPrime)) base.name += '\'';
        if (braces && !take(Tok::kGroupClose)) return fail("a '{' has no '}'");
        base.name += '\'';
        continue;
      }
      ++at_;
      args.push_back(std::move(base));
      args.push_back(exponent());
      base = node(Kind::kPow, std::move(args));
    } else if (take(Tok::kFactorial)) {
      args.push_back(std::move(base));
      base = node(Kind::kFunction, std::move(args), "factorial");
    } else if (take(Tok::kPercent)) {
      args.push_back(std::move(base));
      base = node(Kind::kPercent, std::move(args));
    } else if (take(Tok::kDegree)) {
      base = degrees(std::move(base));
    } else if (is(Tok::kPrime) && base.is(Kind::kSymbol)) {
      ++at_;
      base.name += '\'';
    } else if (is(Tok::kSubscript) && base.is(Kind::kNumber)) {
      base = based(std::move(base));
    } else {
      break;
    }
  }
  return base;
}

// "30 degrees", or "30 degrees 15 minutes".
Expr Parser::degrees(Expr value) {
  std::vector<Expr> args;
  if (value.is(Kind::kNumber) && is(Tok::kNumber) && is(Tok::kPrime, 1)) {
    value = number(value.value + peek().value / 60);
    at_ += 2;
    if (is(Tok::kNumber) && is(Tok::kPrime, 1)) {
      value = number(value.value + peek().value / 3600);
      at_ += is(Tok::kPrime, 2) ? 3 : 2;
    }
  }
  args.push_back(std::move(value));
  if (is(Tok::kSymbol, "C") || is(Tok::kSymbol, "F")) {  // Celsius, Fahrenheit
    ++at_;
    return node(Kind::kUnit, std::move(args), tokens_[at_ - 1].name);
  }
  return node(Kind::kDegree, std::move(args));
}

Expr Parser::exponent() {
  const Depth depth(*this);
  if (failed()) return {};
  if (is(Tok::kGroupOpen)) return group();
  if (take(Tok::kMinus)) return negated(exponent());
  if (take(Tok::kPlus)) return exponent();
  Expr base = primary();
  if (!is(Tok::kPower)) return base;  // 2^3^2 = 2^(3^2)
  ++at_;
  std::vector<Expr> args;
  args.push_back(std::move(base));
  args.push_back(exponent());
  return node(Kind::kPow, std::move(args));
}

// "1011_2". Digits that the base does not have make it a symbol.
Expr Parser::based(Expr digits) {
  ++at_;
  Expr base = is(Tok::kGroupOpen) ? group() : is(Tok::kText) ? node(Kind::kText, {}, tokens_[at_++].name) : primary();
  if (failed()) return {};
  if (base.is(Kind::kText))  // 1011_{\text{two}}
    if (const std::optional<mpq_class> said = number_of_words(base.name)) base = number(*said);
  if (!base.is_integer() || base.value < 2 || base.value > 36 || !digits.is_integer())
    return fail("a base that is none");
  const int b = static_cast<int>(base.value.get_num().get_si());
  const std::string text = digits.value.get_num().get_str();
  mpz_class value;
  if (value.set_str(text, b) != 0)
    return fail("the digits " + text.substr(0, 40) + " are not of base " + std::to_string(b));
  std::vector<Expr> args;
  args.push_back(number(value));
  Expr result = node(Kind::kBased, std::move(args), text);
  result.value = b;
  return result;
}

Expr Parser::primary() {
  if (failed()) return {};
  switch (peek().kind) {
    case Tok::kNumber:
      return literal();
    case Tok::kSymbol:
      return symbol(tokens_[at_++].name);
    case Tok::kConstant:
      return node(Kind::kConstant, {}, tokens_[at_++].name);
    case Tok::kFunction:
      return function();
    case Tok::kFrac:
      return fraction();
    case Tok::kBinom:
      return binomial();
    case Tok::kGroupOpen:
      return latex_ ? group() : plain_braces();
    case Tok::kOpen:
      return peek().name == "{" ? set() : brackets();
    case Tok::kBar:
      return bars();
    case Tok::kBegin:
      return matrix();
    case Tok::kDecoration:
      return decoration();
    case Tok::kSet:
      return named_set(tokens_[at_++].name);
    case Tok::kWord:
      if (peek().name.size() <= 3) return word_letters(tokens_[at_++].name);
      break;
    case Tok::kText:
      if (peek().name == "e" || peek().name == "i") return node(Kind::kConstant, {}, tokens_[at_++].name);
      if (peek().name.size() == 1) return symbol(tokens_[at_++].name);
      break;
    case Tok::kRelation:
      if (peek().name == "<" && angles_ == 0) return brackets();
      break;
    default:
      break;
  }
  return fail(is(Tok::kEnd) ? "it ends too early" : "a value is missing");
}

Expr Parser::literal() {
  const Token& token = tokens_[at_++];
  if (token.power_of_ten == 0) {
    Expr e = number(token.value);
    e.literal = token.name.empty();
    e.decimals = token.decimals;
    // Neither the sign for a fraction nor a repeating decimal ends at a digit.
    e.has_last_place = e.literal && mpq_class(e.value * power_of_ten(static_cast<unsigned>(e.decimals))).get_den() == 1;
    return e;
  }
  if (std::abs(token.power_of_ten) > kMaxPowerOfTen) {
    std::vector<Expr> args;
    args.push_back(number(10));
    args.push_back(number(mpz_class(static_cast<long>(token.power_of_ten))));
    return product(number(token.value), node(Kind::kPow, std::move(args)));
  }
  const mpz_class ten = power_of_ten(static_cast<unsigned>(std::abs(token.power_of_ten)));
  Expr e = number(token.power_of_ten > 0 ? mpq_class(token.value * ten) : mpq_class(token.value / ten));
  e.decimals = static_cast<int16_t>(token.decimals - token.power_of_ten);
  e.has_last_place = mpq_class(token.value * power_of_ten(static_cast<unsigned>(token.decimals))).get_den() == 1;
  return e;
}

// "xy": the letters' product. e and i are what they are alone.
Expr Parser::word_letters(const std::string& word) {
  std::vector<Expr> args;
  for (const char c : word) {
    const std::string name(1, c);
    args.push_back(c == 'e' || c == 'i' ? node(Kind::kConstant, {}, name) : symbol(name));
  }
  // A power behind the word belongs to its last letter: xy^2.
  const size_t begin = at_;
  args.back() = postfix(std::move(args.back()));
  return node(Kind::kMul, std::move(args), at_ == begin ? '"' + word : "");
}

}  // namespace cohort::math
