#include "reward/math/poly.h"

#include <algorithm>
#include <numeric>

namespace cohort::math {
namespace {

constexpr int64_t kMaxExponent = 1 << 20;
constexpr unsigned kSieve = 2000;  // trial division by the primes below

const std::vector<unsigned>& small_primes() {
  static const std::vector<unsigned> kPrimes = [] {
    std::vector<unsigned> primes;
    for (unsigned n = 2; n < kSieve; ++n)
      if (std::ranges::none_of(primes, [n](unsigned p) { return n % p == 0; })) primes.push_back(n);
    return primes;
  }();
  return kPrimes;
}

size_t bits(const mpq_class& value) {
  return mpz_sizeinbase(value.get_num_mpz_t(), 2) + mpz_sizeinbase(value.get_den_mpz_t(), 2);
}

// About a nanosecond a unit: quadratic in the limbs.
int64_t cost(const mpq_class& a, const mpq_class& b) {
  const int64_t limbs = static_cast<int64_t>(bits(a) / 64 + bits(b) / 64 + 2);
  return 100 + limbs * limbs * 4;
}

}  // namespace

bool fits(const mpq_class& value) { return bits(value) <= kMaxBits; }

bool add_to(Poly& sum, const Poly& p, const mpq_class& scale, Budget& budget) {
  for (const auto& [monomial, coefficient] : p) {
    if (!budget.spend(cost(coefficient, scale))) return false;
    const auto it = sum.try_emplace(monomial).first;
    it->second += coefficient * scale;
    if (!fits(it->second)) return false;
    if (it->second == 0) sum.erase(it);
  }
  return sum.size() <= kMaxTerms;
}

bool multiply(Poly& out, const Poly& a, const Poly& b, Budget& budget) {
  out.clear();
  for (const auto& [ma, ca] : a) {
    for (const auto& [mb, cb] : b) {
      if (!budget.spend(cost(ca, cb) + 100 * static_cast<int64_t>(ma.size() + mb.size()))) return false;
      Monomial m = ma;
      mpq_class c = ca * cb;
      for (const Factor& f : mb)
        if (!multiply_atom(m, c, f.atom, f.num, f.den)) return false;
      if (!fits(c)) return false;
      const auto it = out.try_emplace(std::move(m)).first;
      it->second += c;
      if (it->second == 0) out.erase(it);
      if (out.size() > kMaxTerms) return false;
    }
  }
  return true;
}

bool multiply_atom(Monomial& m, mpq_class& coefficient, Atom atom, int64_t num, int64_t den) {
  const auto it = std::ranges::lower_bound(m, atom, {}, &Factor::atom);
  const bool found = it != m.end() && it->atom == atom;
  if (found) {
    num = num * it->den + it->num * den;
    den *= it->den;
  }
  if (atom == kImaginary) {
    if (den != 1) return false;
    const int64_t quarter = ((num % 4) + 4) % 4;
    if (quarter >= 2) coefficient = -coefficient;
    num = quarter % 2;
  }
  const int64_t divisor = std::gcd(num, den);
  num /= divisor;
  den /= divisor;
  if (atom < kPi) {
    const int64_t whole = num >= 0 ? num / den : -((-num + den - 1) / den);
    if (std::abs(whole) > static_cast<int64_t>(kMaxBits)) return false;
    mpz_class p;
    mpz_ui_pow_ui(p.get_mpz_t(), atom, static_cast<unsigned long>(std::abs(whole)));
    whole >= 0 ? coefficient *= p : coefficient /= p;
    num -= whole * den;
    if (!fits(coefficient)) return false;
  }
  if (std::abs(num) > kMaxExponent || den > kMaxExponent) return false;
  if (num == 0) {
    if (found) m.erase(it);
    return true;
  }
  const Factor factor{atom, static_cast<int32_t>(num), static_cast<int32_t>(den)};
  if (found)
    *it = factor;
  else
    m.insert(it, factor);
  return true;
}

bool power(mpq_class& value, int64_t n, Budget& budget) {
  if (n < 0 || static_cast<double>(bits(value)) * static_cast<double>(n) > 2.0 * kMaxBits) {
    if (value == 1 || value == 0) return true;
    if (value == -1) {
      if (n % 2 == 0) value = 1;
      return true;
    }
    return false;
  }
  if (!budget.spend(1000 + static_cast<int64_t>(kMaxBits))) return false;
  mpq_class result;
  mpz_pow_ui(result.get_num_mpz_t(), value.get_num_mpz_t(), static_cast<unsigned long>(n));
  mpz_pow_ui(result.get_den_mpz_t(), value.get_den_mpz_t(), static_cast<unsigned long>(n));
  value = std::move(result);
  return fits(value);
}

bool power_of_term(Poly& out, const Poly& term, int64_t n, Budget& budget) {
  if (std::abs(n) > kMaxExponent) return false;
  out.clear();
  if (term.empty()) {
    if (n <= 0) return false;
    return true;
  }
  const auto& [monomial, coefficient] = *term.begin();
  mpq_class c = coefficient;
  if (n < 0) c = 1 / c;
  if (!power(c, std::abs(n), budget)) return false;
  Monomial m;
  for (const Factor& f : monomial)
    if (!multiply_atom(m, c, f.atom, f.num * n, f.den)) return false;
  out.emplace(std::move(m), std::move(c));
  return true;
}

bool factor(const mpz_class& n, std::vector<std::pair<Atom, int64_t>>& primes, Budget& budget) {
  if (mpz_sizeinbase(n.get_mpz_t(), 2) > 1024 || !budget.spend(50'000)) return false;
  mpz_class rest = n;
  for (const unsigned p : small_primes()) {
    if (rest == 1) return true;
    int64_t exponent = 0;
    while (mpz_divisible_ui_p(rest.get_mpz_t(), p)) {
      rest /= p;
      ++exponent;
    }
    if (exponent > 0) primes.emplace_back(p, exponent);
  }
  int64_t times = 1;
  while (mpz_perfect_square_p(rest.get_mpz_t()) && rest > 1) {
    rest = sqrt(rest);
    times *= 2;
  }
  if (rest == 1) return true;
  if (mpz_sizeinbase(rest.get_mpz_t(), 2) > 61 || !budget.spend(50'000)) return false;
  const bool prime = rest < kSieve * kSieve || mpz_probab_prime_p(rest.get_mpz_t(), 25) > 0;
  if (prime) primes.emplace_back(rest.get_ui(), times);
  return prime;
}

}  // namespace cohort::math
