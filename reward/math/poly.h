// Polynomials with rational coefficients over atoms: symbols, pi, e, i, and roots of primes. One form for each value,
// so that a difference is zero exactly when it has no terms.
#pragma once

#include <gmpxx.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "reward/math/budget.h"

namespace cohort::math {

// A prime below kPi stands for itself; symbols are numbered from kFirstSymbol.
using Atom = uint64_t;
constexpr Atom kPi = Atom{1} << 62, kEuler = kPi + 1, kImaginary = kPi + 2, kFirstSymbol = kPi + 16;

// atom^(num/den), den > 0, num != 0, in lowest terms. Of a prime: 0 < num < den; of i: 1; else any sign.
struct Factor {
  Atom atom;
  int32_t num, den;
  auto operator<=>(const Factor&) const = default;
};
using Monomial = std::vector<Factor>;        // by atom
using Poly = std::map<Monomial, mpq_class>;  // without zeros

// Each returns false when the budget, the bits of a coefficient or the number of terms do not suffice.
bool add_to(Poly& sum, const Poly& p, const mpq_class& scale, Budget& budget);
bool multiply(Poly& out, const Poly& a, const Poly& b, Budget& budget);
// coefficient * monomial to the n-th, n of any sign; false also for zero to a negative power.
bool power_of_term(Poly& out, const Poly& term, int64_t n, Budget& budget);

// Multiplies `m` by atom^(num/den) and puts what becomes rational into `coefficient` (2^(1/2) * 2^(1/2) = 2, i*i = -1).
bool multiply_atom(Monomial& m, mpq_class& coefficient, Atom atom, int64_t num, int64_t den);

bool fits(const mpq_class& value);  // within kMaxBits
// value^n, n >= 0; false when that has too many bits.
bool power(mpq_class& value, int64_t n, Budget& budget);

// The primes of n > 0 with their exponents; false when n cannot be factored cheaply.
bool factor(const mpz_class& n, std::vector<std::pair<Atom, int64_t>>& primes, Budget& budget);

}  // namespace cohort::math
