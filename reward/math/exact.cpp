#include "reward/math/exact.h"

#include <algorithm>

namespace cohort::math {
namespace {

constexpr int64_t kMaxPolyPower = 64;  // of several terms
constexpr int64_t kMaxFactorial = 1000;

Quotient constant(mpq_class value) {
  Quotient q;
  if (value != 0) q.top.emplace(Monomial{}, std::move(value));
  q.bottom.emplace(Monomial{}, 1);
  return q;
}

Quotient atom(Atom id) {
  Quotient q;
  q.top.emplace(Monomial{{id, 1, 1}}, 1);
  q.bottom.emplace(Monomial{}, 1);
  return q;
}

bool is_one(const Poly& p) { return p.size() == 1 && p.begin()->first.empty() && p.begin()->second == 1; }

std::optional<mpq_class> rational(const Quotient& q) {
  if (!is_one(q.bottom)) return std::nullopt;
  if (q.top.empty()) return mpq_class(0);
  if (q.top.size() > 1 || !q.top.begin()->first.empty()) return std::nullopt;
  return q.top.begin()->second;
}

std::optional<int64_t> whole(const mpq_class& value, int64_t limit) {
  if (value.get_den() != 1 || abs(value.get_num()) > limit) return std::nullopt;
  return value.get_num().get_si();
}

// A bottom of one term moves to the top.
bool settle(Quotient& q, Budget& budget) {
  if (q.bottom.empty()) return false;
  if (q.bottom.size() > 1 || is_one(q.bottom)) return true;
  Poly inverse, top;
  if (!power_of_term(inverse, q.bottom, -1, budget) || !multiply(top, q.top, inverse, budget)) return false;
  q.top = std::move(top);
  q.bottom = constant(1).bottom;
  return true;
}

bool times(const Quotient& a, const Quotient& b, Quotient& out, Budget& budget) {
  Quotient q;
  if (!multiply(q.top, a.top, b.top, budget)) return false;
  if (is_one(a.bottom))
    q.bottom = b.bottom;
  else if (is_one(b.bottom))
    q.bottom = a.bottom;
  else if (!multiply(q.bottom, a.bottom, b.bottom, budget))
    return false;
  out = std::move(q);
  return settle(out, budget);
}

}  // namespace

Atom Exact::symbol_atom(const std::string& name) {
  const auto it = std::ranges::find(symbols_, name);
  if (it == symbols_.end()) symbols_.push_back(name);
  return kFirstSymbol + static_cast<Atom>(std::ranges::find(symbols_, name) - symbols_.begin());
}

std::optional<Quotient> Exact::evaluate(const Expr& e) {
  Quotient q;
  if (!walk(e, q)) return std::nullopt;
  return q;
}

std::optional<bool> Exact::equal(const Quotient& a, const Quotient& b) {
  if (is_one(a.bottom) && is_one(b.bottom)) return a.top == b.top;
  Poly left, right;
  if (!multiply(left, a.top, b.bottom, budget_) || !multiply(right, b.top, a.bottom, budget_)) return std::nullopt;
  return left == right;
}

bool Exact::walk(const Expr& e, Quotient& out) {
  if (!budget_.spend(100)) return false;
  switch (e.kind) {
    case Kind::kNumber:
      out = constant(e.value);
      return fits(e.value);
    case Kind::kSymbol:
      out = atom(symbol_atom(e.name));
      return true;
    case Kind::kConstant:
      if (e.name == "inf") return false;
      out = atom(e.name == "pi" ? kPi : e.name == "e" ? kEuler : kImaginary);
      return true;
    case Kind::kAdd:
      return add(e, out);
    case Kind::kMul:
      return multiply_all(e, out);
    case Kind::kPow:
    case Kind::kRoot: {
      Quotient base, exponent;
      if (!walk(e.args[1], exponent)) return false;
      std::optional<mpq_class> power = rational(exponent);
      if (!power || !walk(e.args[0], base)) return false;
      if (e.is(Kind::kRoot)) {
        if (*power == 0) return false;
        *power = 1 / *power;
      }
      return raise(base, *power, out);
    }
    case Kind::kPercent:
      return walk(e.args[0], out) && times(Quotient(out), constant(mpq_class(1, 100)), out, budget_);
    case Kind::kDegree:
      if (!walk(e.args[0], out)) return false;
      return times(Quotient(out), constant(mpq_class(1, 180)), out, budget_) &&
             times(Quotient(out), atom(kPi), out, budget_);
    case Kind::kBased:
      return walk(e.args[0], out);
    case Kind::kFunction:
      return function(e, out);
    default:
      return false;
  }
}

bool Exact::add(const Expr& e, Quotient& out) {
  Quotient sum = constant(0);
  for (const Expr& arg : e.args) {
    Quotient q;
    if (!walk(arg, q)) return false;
    if (sum.bottom == q.bottom) {
      if (!add_to(sum.top, q.top, 1, budget_)) return false;
      continue;
    }
    Quotient both;
    Poly right;
    if (!multiply(both.top, sum.top, q.bottom, budget_) || !multiply(right, q.top, sum.bottom, budget_) ||
        !add_to(both.top, right, 1, budget_) || !multiply(both.bottom, sum.bottom, q.bottom, budget_))
      return false;
    sum = std::move(both);
    if (!settle(sum, budget_)) return false;
  }
  out = std::move(sum);
  return true;
}

bool Exact::multiply_all(const Expr& e, Quotient& out) {
  Quotient all = constant(1);
  for (const Expr& arg : e.args) {
    Quotient q;
    if (!walk(arg, q) || !times(all, q, all, budget_)) return false;
  }
  out = std::move(all);
  return true;
}

bool Exact::raise_whole(const Quotient& base, int64_t n, Quotient& out) {
  if (n == 0) {
    out = constant(1);
    return !base.top.empty();
  }
  if (base.top.empty()) {
    out = constant(0);
    return n > 0;
  }
  if (base.top.size() == 1 && is_one(base.bottom)) {
    out.bottom = constant(1).bottom;
    return power_of_term(out.top, base.top, n, budget_);
  }
  if (std::abs(n) > kMaxPolyPower) return false;
  Quotient square = base;
  if (n < 0) std::swap(square.top, square.bottom);
  if (!settle(square, budget_)) return false;
  Quotient result = constant(1);
  for (int64_t k = std::abs(n); k > 0; k /= 2) {
    if (k % 2 == 1 && !times(result, square, result, budget_)) return false;
    if (k > 1 && !times(square, square, square, budget_)) return false;
  }
  out = std::move(result);
  return true;
}

bool Exact::raise(const Quotient& base, const mpq_class& exponent, Quotient& out) {
  if (exponent.get_den() == 1) {
    const std::optional<int64_t> n = whole(exponent, int64_t{1} << 20);
    if (n) return raise_whole(base, *n, out);
    const std::optional<mpq_class> value = rational(base);  // (-1)^(10^9)
    if (!value || (*value != 1 && *value != -1)) return false;
    out = constant(*value == 1 || mpz_even_p(exponent.get_num_mpz_t()) ? 1 : -1);
    return true;
  }
  const std::optional<int64_t> num = whole(exponent.get_num(), 1 << 16), den = whole(exponent.get_den(), 1 << 10);
  if (!num || !den || !is_one(base.bottom)) return false;
  if (base.top.empty()) {
    out = constant(0);
    return *num > 0;
  }
  if (base.top.size() != 1) return false;
  out.bottom = constant(1).bottom;
  return raise_term(base.top, *num, *den, out.top);
}

// (c * m)^(num/den), den > 1. Odd roots of negative numbers are real; a square root of one has the factor i.
bool Exact::raise_term(const Poly& base, int64_t num, int64_t den, Poly& out) {
  const auto& [monomial, coefficient] = *base.begin();
  mpq_class c = 1;
  Monomial m;
  if (coefficient < 0) {
    if (den % 2 == 1) {
      if (num % 2 != 0) c = -1;
    } else if (den != 2 || !monomial.empty() || !multiply_atom(m, c, kImaginary, num, 1)) {
      return false;
    }
  }
  const mpq_class size = abs(coefficient);
  for (const bool top : {true, false}) {
    std::vector<std::pair<Atom, int64_t>> primes;
    if (!factor(top ? size.get_num() : size.get_den(), primes, budget_)) return false;
    for (const auto& [prime, exponent] : primes)
      if (!multiply_atom(m, c, prime, (top ? exponent : -exponent) * num, den)) return false;
  }
  for (const Factor& f : monomial) {
    if (f.atom == kImaginary) return false;
    // The root of x^2 is |x|, not x.
    if (f.atom >= kFirstSymbol && den % 2 == 0 && f.num % 2 == 0) return false;
    if (!multiply_atom(m, c, f.atom, f.num * num, f.den * den)) return false;
  }
  out.clear();
  out.emplace(std::move(m), std::move(c));
  return true;
}

bool Exact::function(const Expr& e, Quotient& out) {
  std::vector<mpq_class> args;
  for (const Expr& arg : e.args) {
    Quotient q;
    if (!walk(arg, q)) return false;
    const std::optional<mpq_class> value = rational(q);
    if (!value) return false;
    args.push_back(*value);
  }
  if (args.empty() || !budget_.spend(20'000)) return false;
  mpz_class integer;
  if (e.name == "abs") {
    out = constant(abs(args[0]));
  } else if (e.name == "factorial") {
    const std::optional<int64_t> n = whole(args[0], kMaxFactorial);
    if (!n || *n < 0) return false;
    mpz_fac_ui(integer.get_mpz_t(), static_cast<unsigned long>(*n));
    out = constant(integer);
  } else if (e.name == "binom") {
    const std::optional<int64_t> n = whole(args[0], 10'000), k = whole(args[1], kMaxFactorial);
    if (!n || !k || *n < 0 || *k < 0) return false;
    mpz_bin_uiui(integer.get_mpz_t(), static_cast<unsigned long>(*n), static_cast<unsigned long>(*k));
    out = constant(integer);
  } else if (e.name == "floor" || e.name == "ceil") {
    e.name == "floor" ? mpz_fdiv_q(integer.get_mpz_t(), args[0].get_num_mpz_t(), args[0].get_den_mpz_t())
                      : mpz_cdiv_q(integer.get_mpz_t(), args[0].get_num_mpz_t(), args[0].get_den_mpz_t());
    out = constant(integer);
  } else if (e.name == "max" || e.name == "min") {
    out = constant(e.name == "max" ? *std::ranges::max_element(args) : *std::ranges::min_element(args));
  } else if (e.name == "gcd" || e.name == "lcm") {
    integer = args[0].get_num();
    for (const mpq_class& arg : args) {
      if (arg.get_den() != 1) return false;
      integer = e.name == "gcd" ? mpz_class(gcd(integer, arg.get_num())) : mpz_class(lcm(integer, arg.get_num()));
    }
    out = constant(integer);
  } else {
    return false;
  }
  const std::optional<mpq_class> value = rational(out);
  return value && fits(*value);
}

std::optional<mpq_class> rational_value(const Expr& e, Budget& budget) {
  if (e.is(Kind::kNumber)) return e.value;
  Exact exact(budget);
  const std::optional<Quotient> q = exact.evaluate(e);
  return q ? rational(*q) : std::nullopt;
}

}  // namespace cohort::math
