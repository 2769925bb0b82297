#include "reward/tasks/expression.h"

#include <gmpxx.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "reward/tasks/python_text.h"

namespace cohort::tasks {
namespace {

constexpr size_t kMaxBits = 1 << 16;
constexpr int kMaxDepth = 64;
constexpr unsigned long kMaxFactorial = 1000;

struct Refused {};  // no value: leaves the parser

// Exact (sympy's Integer and Rational), or approximate (its Float, and roots).
struct Value {
  bool exact = true;
  mpq_class q = 0;
  double d = 0;

  double number() const {
    if (!exact) return d;
    const auto top = static_cast<int64_t>(mpz_sizeinbase(q.get_num_mpz_t(), 2));
    const auto bottom = static_cast<int64_t>(mpz_sizeinbase(q.get_den_mpz_t(), 2));
    if (top - bottom > 1024) return q < 0 ? -HUGE_VAL : HUGE_VAL;  // where GMP's conversion is undefined
    return q.get_d();
  }
  bool whole() const { return exact && q.get_den() == 1; }
  bool zero() const { return exact ? q == 0 : d == 0; }
};

Value exact(mpq_class q) {
  if (mpz_sizeinbase(q.get_num_mpz_t(), 2) > kMaxBits || mpz_sizeinbase(q.get_den_mpz_t(), 2) > kMaxBits) throw Refused();
  return {true, std::move(q), 0};
}
Value approximate(double d) { return {false, 0, d}; }
const double kNan = std::numeric_limits<double>::quiet_NaN();

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

Value divide(const Value& a, const Value& b) {
  if (b.zero()) {
    if (a.zero() || (!a.exact && std::isnan(a.d))) return approximate(kNan);
    throw Refused();  // sympy's complex infinity, which is no float
  }
  if (a.exact && b.exact) return exact(a.q / b.q);
  return approximate(a.number() / b.number());
}

Value floor_divide(const Value& a, const Value& b) {
  if (b.zero()) throw Refused();
  if (!a.exact || !b.exact) return approximate(std::floor(a.number() / b.number()));
  const mpq_class quotient = a.q / b.q;
  mpz_class floor;
  mpz_fdiv_q(floor.get_mpz_t(), quotient.get_num_mpz_t(), quotient.get_den_mpz_t());
  return exact(mpq_class(floor));
}

Value combine(const Value& a, char op, const Value& b) {
  if (a.exact && b.exact) return exact(op == '+' ? mpq_class(a.q + b.q) : op == '-' ? mpq_class(a.q - b.q) : mpq_class(a.q * b.q));
  const double x = a.number(), y = b.number();
  return approximate(op == '+' ? x + y : op == '-' ? x - y : x * y);
}

Value power(const Value& base, const Value& exponent) {
  if (base.exact && exponent.whole()) {
    if (!exponent.q.get_num().fits_slong_p()) throw Refused();
    const long n = exponent.q.get_num().get_si();
    if (n == 0) return exact(1);
    if (base.q == 0 && n < 0) throw Refused();
    const size_t bits = std::max(mpz_sizeinbase(base.q.get_num_mpz_t(), 2), mpz_sizeinbase(base.q.get_den_mpz_t(), 2));
    const auto times = static_cast<size_t>(n < 0 ? -n : n);
    const bool unit = abs(base.q) == 1 || base.q == 0;
    if (!unit && (times > kMaxBits || bits * times > kMaxBits)) throw Refused();
    const size_t count = unit ? 2 - times % 2 : times;  // (-1)^n and 0^n by the parity alone
    mpz_class top, bottom;
    mpz_pow_ui(top.get_mpz_t(), base.q.get_num_mpz_t(), count);
    mpz_pow_ui(bottom.get_mpz_t(), base.q.get_den_mpz_t(), count);
    mpq_class result = n > 0 ? mpq_class(top, bottom) : mpq_class(bottom, top);
    result.canonicalize();
    return exact(std::move(result));
  }
  const double x = base.number(), y = exponent.number();
  const double result = std::pow(x, y);
  if ((x == 0 && y < 0) || (std::isnan(result) && !std::isnan(x) && !std::isnan(y))) throw Refused();  // infinite, complex
  return approximate(result);
}

Value factorial(const Value& of, unsigned long step) {
  if (!of.whole()) {
    if (step != 1) throw Refused();
    const double x = of.number(), result = std::tgamma(x + 1);
    if (x < 0 && x == std::floor(x)) throw Refused();
    return approximate(result);
  }
  if (of.q < 0 || of.q > kMaxFactorial) throw Refused();
  mpz_class result;
  const unsigned long n = of.q.get_num().get_ui();
  if (step == 1) {
    mpz_fac_ui(result.get_mpz_t(), n);
  } else {
    mpz_2fac_ui(result.get_mpz_t(), n);
  }
  return exact(mpq_class(result));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Value whole() {
    const Value value = comparison();
    skip_space();
    if (at_ < text_.size()) throw Refused();
    return value;
  }

 private:
  void skip_space() {  // line breaks only where a parenthesis is open, as in Python
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c != ' ' && c != '\t' && c != '\f' && !(depth_ > 0 && (c == '\n' || c == '\r'))) break;
      ++at_;
    }
  }
  bool take(std::string_view what) {
    skip_space();
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  // An operator of one character that is not the beginning of a longer one.
  bool take_single(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : ' ';
    if (next == '=' || ((c == '*' || c == '/') && next == c)) return false;
    ++at_;
    return true;
  }

  // Chains are conjunctions: a == b == c.
  Value comparison() {
    Value left = bits('|');
    bool compared = false, holds = true;
    while (true) {
      const bool equal = take("==");
      if (!equal && !take("!=")) break;
      const Value right = bits('|');
      const bool same = left.exact && right.exact ? left.q == right.q : left.number() == right.number();
      compared = true;
      holds = holds && same == equal;
      left = right;
    }
    return compared ? exact(holds ? 1 : 0) : left;
  }

  Value bits(char op) {
    const auto operand = [&] { return op == '|' ? bits('^') : op == '^' ? bits('&') : sum(); };
    Value left = operand();
    while (take_single(op)) {
      const Value right = operand();
      if (!left.whole() || !right.whole()) throw Refused();
      const mpz_class &a = left.q.get_num(), &b = right.q.get_num();
      left = exact(mpq_class(op == '|' ? mpz_class(a | b) : op == '^' ? mpz_class(a ^ b) : mpz_class(a & b)));
    }
    return left;
  }

  Value sum() {
    Value left = product();
    while (true) {
      const char op = take_single('+') ? '+' : take_single('-') ? '-' : 0;
      if (op == 0) return left;
      left = combine(left, op, product());
    }
  }

  Value product() {
    Value left = unary();
    while (true) {
      if (take("//")) {
        left = floor_divide(left, unary());
      } else if (take_single('*')) {
        left = combine(left, '*', unary());
      } else if (take_single('/')) {
        left = divide(left, unary());
      } else if (take_single('%')) {
        const Value right = unary();
        left = combine(left, '-', combine(right, '*', floor_divide(left, right)));
      } else {
        return left;
      }
    }
  }

  Value unary() {
    const Depth depth(*this);
    if (take_single('+')) return unary();
    if (take_single('-')) return combine(exact(0), '-', unary());
    const Value base = postfix();
    return take("**") ? power(base, unary()) : base;
  }

  Value postfix() {
    Value value = primary();
    if (at_ >= text_.size() || text_[at_] != '!' || text_.substr(at_).starts_with("!=")) return value;
    size_t marks = 0;
    while (at_ < text_.size() && text_[at_] == '!') ++at_, ++marks;
    if (marks > 2) throw Refused();
    return factorial(value, marks);
  }

  Value primary() {
    const bool root = take("sqrt");
    if (take("(")) {
      ++depth_;
      Value value = comparison();
      if (!take(")")) throw Refused();
      --depth_;
      return root ? power(value, exact(mpq_class(1, 2))) : value;
    }
    if (root) throw Refused();
    skip_space();
    return number();
  }

  // Digits with single underscores between them.
  std::string digits() {
    std::string found;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool joint = c == '_' && !found.empty() && text_[at_ - 1] != '_' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]);
      if (!is_digit(c) && !joint) break;
      if (is_digit(c)) found += c;
      ++at_;
    }
    return found;
  }

  Value number() {
    const std::string integer = digits();
    std::string fraction, exponent;
    bool decimal = false;
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      decimal = true;
      fraction = digits();
    }
    if (integer.empty() && fraction.empty()) throw Refused();
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      decimal = true;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) exponent = text_[at_++];
      const std::string power = digits();
      if (power.empty()) throw Refused();
      exponent += power;
    }
    if (at_ < text_.size() && (is_word(text_[at_]) || text_[at_] == '.')) throw Refused();
    if (decimal) return approximate(*parse_float(integer + "." + fraction + (exponent.empty() ? "" : "e" + exponent)));
    if (integer[0] == '0' && integer.find_first_not_of('0') != std::string::npos) throw Refused();  // 05 is no Python
    return exact(mpq_class(mpz_class(integer, 10)));
  }

  struct Depth {
    explicit Depth(Parser& parser) : parser(parser) {
      if (++parser.nesting_ > kMaxDepth) throw Refused();
    }
    ~Depth() { --parser.nesting_; }
    Parser& parser;
  };

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0, nesting_ = 0;  // open parentheses; calls
};

}  // namespace

std::optional<double> evaluate_expression(std::string_view text) {
  text = strip(text);
  if (text.size() > kMaxExpressionBytes) return std::nullopt;
  try {
    return Parser(text).whole().number();
  } catch (const Refused&) {
    return std::nullopt;
  }
}

std::vector<std::string_view> literal_integers(std::string_view text) {
  std::vector<std::string_view> found;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    bool digits = true;
    for (; end < text.size() && is_word(text[end]); ++end) digits = digits && is_digit(text[end]);
    if (end == at) {
      ++at;
      continue;
    }
    if (digits) {
      const std::string_view number = text.substr(at, end - at);
      found.push_back(number.substr(std::min(number.find_first_not_of('0'), number.size() - 1)));
    }
    at = end;
  }
  return found;
}

}  // namespace cohort::tasks
