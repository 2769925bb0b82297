#include "reward/math/real.h"

#include <cmath>

namespace cohort::math {
namespace {

bool is_small(const Real& term, const Real& sum) { return log2_of(term) < log2_of(sum) - kWorkBits; }

// atan(x) = sum (-1)^k x^(2k+1) / (2k+1), for small x.
Real atan_series(const Real& x) {
  const Real square = Real(-x * x, kWorkBits);
  Real power = x, sum = x;
  for (unsigned long k = 3; power != 0 && !is_small(power, sum); k += 2) {
    power *= square;
    sum += Real(power / k, kWorkBits);
  }
  return sum;
}

// Machin: pi = 16 atan(1/5) - 4 atan(1/239).
Real compute_pi() {
  Real a = real(1.0), b = real(1.0);
  a /= 5;
  b /= 239;
  return Real(16 * atan_series(a) - 4 * atan_series(b), kWorkBits);
}

// ln 2 = sum 1 / (k 2^k).
Real compute_ln2() {
  Real sum = real(0.0), power = real(1.0);
  for (unsigned long k = 1; k < kWorkBits + 16; ++k) {
    power /= 2;
    sum += Real(power / k, kWorkBits);
  }
  return sum;
}

const Real& ln2() {
  static const Real kLn2 = compute_ln2();
  return kLn2;
}

Real atan_of(Real x) {
  constexpr int kHalvings = 12;  // atan(x) = 2 atan(x / (1 + sqrt(1 + x^2)))
  for (int i = 0; i < kHalvings; ++i) {
    Real root = sqrt_of(Real(x * x + 1, kWorkBits));
    x /= Real(root + 1, kWorkBits);
  }
  Real result = atan_series(x);
  mpf_mul_2exp(result.get_mpf_t(), result.get_mpf_t(), kHalvings);
  return result;
}

}  // namespace

Real real(double value) { return Real(value, kWorkBits); }
Real real(const mpq_class& value) {
  Real result(0, kWorkBits);
  mpf_set_q(result.get_mpf_t(), value.get_mpq_t());
  return result;
}

const Real& pi() {
  static const Real kPiValue = compute_pi();
  return kPiValue;
}

double log2_of(const Real& x) {
  if (x == 0) return -1e18;
  long exponent = 0;
  const double mantissa = mpf_get_d_2exp(&exponent, x.get_mpf_t());
  return static_cast<double>(exponent) + std::log2(std::abs(mantissa));
}

Real sqrt_of(const Real& x) {
  Real result(0, kWorkBits);
  mpf_sqrt(result.get_mpf_t(), x.get_mpf_t());
  return result;
}

// e^x = 2^n (e^(r / 2^12))^(2^12), r = x - n ln 2.
Real exp_of(const Real& x) {
  constexpr int kSquarings = 12;
  const double n = std::round(x.get_d() / 0.69314718055994531);
  Real r(x - n * ln2(), kWorkBits);
  mpf_div_2exp(r.get_mpf_t(), r.get_mpf_t(), kSquarings);
  Real sum = real(1.0), term = real(1.0);
  for (unsigned long k = 1; k < 200; ++k) {
    term *= r;
    term /= k;
    sum += term;
    if (term == 0 || is_small(term, sum)) break;
  }
  for (int i = 0; i < kSquarings; ++i) sum *= Real(sum);
  const auto shift = static_cast<unsigned long>(std::abs(n));
  if (n >= 0)
    mpf_mul_2exp(sum.get_mpf_t(), sum.get_mpf_t(), shift);
  else
    mpf_div_2exp(sum.get_mpf_t(), sum.get_mpf_t(), shift);
  return sum;
}

// Halley: y + 2 (m - e^y) / (m + e^y) triples the right digits of y = log m.
Real log_of(const Real& x) {
  long exponent = 0;
  const double guess = std::log(mpf_get_d_2exp(&exponent, x.get_mpf_t()));
  Real m = x;
  if (exponent >= 0)
    mpf_div_2exp(m.get_mpf_t(), m.get_mpf_t(), static_cast<unsigned long>(exponent));
  else
    mpf_mul_2exp(m.get_mpf_t(), m.get_mpf_t(), static_cast<unsigned long>(-exponent));
  Real y = real(guess);
  for (int i = 0; i < 3; ++i) {
    const Real e = exp_of(y);
    y += Real(2 * (m - e) / (m + e), kWorkBits);
  }
  return Real(y + ln2() * static_cast<double>(exponent), kWorkBits);
}

std::pair<Real, Real> sin_cos(const Real& x) {
  constexpr int kDoublings = 12;
  const Real turn(2 * pi(), kWorkBits);
  const Real n(floor(Real(x / turn, kWorkBits)), kWorkBits);
  Real r(x - n * turn, kWorkBits);
  mpf_div_2exp(r.get_mpf_t(), r.get_mpf_t(), kDoublings);
  const Real square(-r * r, kWorkBits);
  // sin r, and 1 - cos r, which keeps its digits.
  Real sine = r, term = r, versine = real(0.0), even = real(1.0);
  for (unsigned long k = 1; k < 200 && r != 0; ++k) {
    even *= square;
    even /= (2 * k - 1) * (2 * k);
    versine -= even;
    term *= square;
    term /= (2 * k) * (2 * k + 1);
    sine += term;
    if (is_small(term, sine) && is_small(even, versine)) break;
  }
  for (int i = 0; i < kDoublings; ++i) {  // sin 2r = 2 sin r cos r, 1 - cos 2r = 2 sin^2 r
    const Real cosine(1 - versine, kWorkBits);
    versine = Real(2 * sine * sine, kWorkBits);
    sine = Real(2 * sine * cosine, kWorkBits);
  }
  return {sine, Real(1 - versine, kWorkBits)};
}

Real atan2_of(const Real& y, const Real& x) {
  if (x == 0) return Real(pi() * (y > 0 ? 0.5 : -0.5), kWorkBits);
  Real angle = atan_of(Real(abs(y) / abs(x), kWorkBits));
  if (x < 0) angle = Real(pi() - angle, kWorkBits);
  return y < 0 ? Real(-angle, kWorkBits) : angle;
}

}  // namespace cohort::math
