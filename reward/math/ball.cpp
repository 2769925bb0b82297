#include "reward/math/ball.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace cohort::math {
namespace {

constexpr double kMaxSize = 30000;  // log2 of the largest magnitude that is computed with

// log2(2^a + 2^b).
double sum_of(double a, double b) {
  const double high = std::max(a, b), low = std::min(a, b);
  return low < high - 60 ? high + 1e-9 : high + std::log2(1 + std::exp2(low - high));
}

// The rounding of a result of a few operations.
double rounding(const Ball& z) { return size(z) - kBits; }

Ball make(Real re, Real im, double error) {
  Ball z{std::move(re), std::move(im), error};
  z.error = sum_of(z.error, rounding(z));
  return z;
}

Ball negative(const Ball& z) { return {Real(-z.re, kWorkBits), Real(-z.im, kWorkBits), z.error}; }
Ball times_i(const Ball& z) { return {Real(-z.im, kWorkBits), z.re, z.error}; }
Ball whole(double value) { return ball(real(value)); }

bool in_range(const Ball& z) { return size(z) < kMaxSize && z.error < kMaxSize; }

}  // namespace

Ball ball(Real re) { return {std::move(re), real(0.0), kExact}; }

double size(const Ball& z) {
  const double re = log2_of(z.re), im = log2_of(z.im);
  if (std::max(re, im) < -1e17) return kExact;
  return sum_of(2 * re, 2 * im) / 2;
}

bool Ball::real_valued() const { return im == 0 || log2_of(im) <= error; }
bool Ball::may_be_zero() const { return (re == 0 && im == 0) || size(*this) <= error + 0.01; }

Ball operator+(const Ball& a, const Ball& b) {
  return make(Real(a.re + b.re, kWorkBits), Real(a.im + b.im, kWorkBits), sum_of(a.error, b.error));
}

Ball operator-(const Ball& a, const Ball& b) { return a + negative(b); }

Ball operator*(const Ball& a, const Ball& b) {
  const double error = sum_of(sum_of(size(a) + b.error, size(b) + a.error), a.error + b.error);
  if (a.im == 0 && b.im == 0) return make(Real(a.re * b.re, kWorkBits), real(0.0), error);
  return make(Real(a.re * b.re - a.im * b.im, kWorkBits), Real(a.re * b.im + a.im * b.re, kWorkBits), error);
}

std::optional<Ball> inverse(const Ball& z) {
  const double s = size(z);
  if (z.error > s - 1 || !in_range(z) || s < -kMaxSize) return std::nullopt;
  const double error = z.error - 2 * s + 1;
  if (z.im == 0) return make(Real(1 / z.re, kWorkBits), real(0.0), error);
  const Real norm(z.re * z.re + z.im * z.im, kWorkBits);
  return make(Real(z.re / norm, kWorkBits), Real(-z.im / norm, kWorkBits), error);
}

std::optional<Ball> exp(const Ball& z) {
  if (z.error > -2 || log2_of(z.re) > 14 || log2_of(z.im) > 40) return std::nullopt;
  const Real scale = exp_of(z.re);
  Ball result = ball(scale);
  // Reducing the angle costs as many bits as it has before the point.
  double error = sum_of(z.error + 1, std::max(log2_of(z.im), log2_of(z.re)) - kBits) + log2_of(scale);
  if (z.im != 0) {
    const auto [sine, cosine] = sin_cos(z.im);
    result.re = Real(scale * cosine, kWorkBits);
    result.im = Real(scale * sine, kWorkBits);
    error = sum_of(error, log2_of(scale) - kBits);
  }
  result.error = sum_of(error, rounding(result));
  return result;
}

std::optional<Ball> log(const Ball& z) {
  const double s = size(z);
  if (z.error > s - 1 || s > kMaxSize || s < -kMaxSize) return std::nullopt;
  const double error = sum_of(z.error - s + 1, -kBits);
  if (z.real_valued()) {  // on the cut: the upper side
    return make(log_of(Real(::abs(z.re), kWorkBits)), z.re < 0 ? pi() : real(0.0), error);
  }
  const Real norm(z.re * z.re + z.im * z.im, kWorkBits);
  return make(Real(log_of(norm) / 2, kWorkBits), atan2_of(z.im, z.re), error);
}

std::optional<Ball> power(const Ball& z, long n) {
  if (std::abs(n) > 1 << 20) return std::nullopt;
  if (n < 0) {
    const std::optional<Ball> p = power(z, -n);
    return p ? inverse(*p) : std::nullopt;
  }
  Ball result = whole(1), square = z;
  for (long k = n; k > 0; k /= 2) {
    if (!in_range(square) || !in_range(result)) return std::nullopt;
    if (k % 2 == 1) result = result * square;
    if (k > 1) square = square * square;
  }
  return in_range(result) ? std::optional(result) : std::nullopt;
}

std::optional<Ball> power(const Ball& z, long num, long den) {
  if (z.re == 0 && z.im == 0) return num > 0 ? std::optional(z) : std::nullopt;
  const bool negative_root = den % 2 == 1 && z.real_valued() && z.re < 0;
  Ball base = negative_root ? Ball{Real(-z.re, kWorkBits), real(0.0), z.error} : z;
  if (den == 2 && base.real_valued() && base.re < 0) {  // exactly imaginary
    base = {Real(-base.re, kWorkBits), real(0.0), base.error};
    const std::optional<Ball> root = power(base, num, den);
    if (!root) return std::nullopt;
    const std::optional<Ball> unit = power(times_i(whole(1)), num);
    return *root * *unit;
  }
  const std::optional<Ball> l = log(base);
  if (!l) return std::nullopt;
  const std::optional<Ball> result = exp(*l * ball(real(mpq_class(num, den))));
  return result && negative_root && num % 2 != 0 ? std::optional(negative(*result)) : result;
}

std::optional<Ball> power(const Ball& z, const Ball& exponent) {
  if (z.re == 0 && z.im == 0)
    return exponent.real_valued() && exponent.re > 0 && !exponent.may_be_zero() ? std::optional(z) : std::nullopt;
  const std::optional<Ball> l = log(z);
  return l ? exp(*l * exponent) : std::nullopt;
}

std::optional<Ball> absolute(const Ball& z) {
  if (z.real_valued()) return Ball{Real(::abs(z.re), kWorkBits), real(0.0), z.error};
  return make(sqrt_of(Real(z.re * z.re + z.im * z.im, kWorkBits)), real(0.0), z.error);
}

std::optional<Ball> trigonometric(std::string_view name, const Ball& z) {
  const Ball one = whole(1), half = ball(real(0.5));
  const auto inverse_of = [&](std::string_view other) -> std::optional<Ball> {
    const std::optional<Ball> value = trigonometric(other, z);
    return value ? inverse(*value) : std::nullopt;
  };
  const auto of_inverse = [&](std::string_view other) -> std::optional<Ball> {
    const std::optional<Ball> value = inverse(z);
    return value ? trigonometric(other, *value) : std::nullopt;
  };
  const auto quotient = [&](std::string_view top, std::string_view bottom) -> std::optional<Ball> {
    const std::optional<Ball> a = trigonometric(top, z), b = trigonometric(bottom, z);
    const std::optional<Ball> c = b ? inverse(*b) : std::nullopt;
    return a && c ? std::optional(*a * *c) : std::nullopt;
  };
  if (name == "sin" || name == "cos") {
    if (z.im == 0) {  // real arguments stay real
      if (z.error > -2 || log2_of(z.re) > 40) return std::nullopt;
      auto [sine, cosine] = sin_cos(z.re);
      return make(name == "sin" ? sine : cosine, real(0.0), sum_of(z.error, std::max(log2_of(z.re), 0.0) - kBits));
    }
    const std::optional<Ball> up = exp(times_i(z)), down = exp(negative(times_i(z)));
    if (!up || !down) return std::nullopt;
    return name == "cos" ? (*up + *down) * half : negative(times_i((*up - *down) * half));
  }
  if (name == "sinh" || name == "cosh") {
    const std::optional<Ball> up = exp(z), down = exp(negative(z));
    if (!up || !down) return std::nullopt;
    return (name == "cosh" ? *up + *down : *up - *down) * half;
  }
  if (name == "tan") return quotient("sin", "cos");
  if (name == "cot") return quotient("cos", "sin");
  if (name == "tanh") return quotient("sinh", "cosh");
  if (name == "coth") return quotient("cosh", "sinh");
  if (name == "sec") return inverse_of("cos");
  if (name == "csc") return inverse_of("sin");
  if (name == "arcsin") {  // -i log(i z + sqrt(1 - z^2))
    const std::optional<Ball> root = power(one - z * z, 1, 2);
    const std::optional<Ball> l = root ? log(times_i(z) + *root) : std::nullopt;
    return l ? std::optional(negative(times_i(*l))) : std::nullopt;
  }
  if (name == "arccos") {
    const std::optional<Ball> angle = trigonometric("arcsin", z);
    return angle ? std::optional(make(pi(), real(0.0), kExact) * half - *angle) : std::nullopt;
  }
  if (name == "arctan") {
    if (z.real_valued()) return make(atan2_of(z.re, real(1.0)), real(0.0), z.error);
    const std::optional<Ball> up = log(one - times_i(z)), down = log(one + times_i(z));
    return up && down ? std::optional(times_i((*up - *down) * half)) : std::nullopt;
  }
  if (name == "arccot") return of_inverse("arctan");
  if (name == "arcsec") return of_inverse("arccos");
  if (name == "arccsc") return of_inverse("arcsin");
  if (name == "arsinh" || name == "arcosh") {  // log(z + sqrt(z^2 +- 1))
    const std::optional<Ball> root = power(name == "arsinh" ? z * z + one : z * z - one, 1, 2);
    return root ? log(z + *root) : std::nullopt;
  }
  if (name == "artanh") {
    const std::optional<Ball> up = log(one + z), down = log(one - z);
    return up && down ? std::optional((*up - *down) * half) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace cohort::math
