// Complex numbers with a bound of their error: interval arithmetic in the form of a centre and a radius, so that "these
// two differ" is a proof.
#pragma once

#include <optional>

#include "reward/math/real.h"

namespace cohort::math {

// The true value lies within 2^error of re + i im.
struct Ball {
  Real re, im;
  double error;

  bool real_valued() const;  // is the imaginary part zero as far as one can tell?
  bool may_be_zero() const;
};

constexpr double kExact = -1e18;  // log2 of no error

Ball ball(Real re);
double size(const Ball& z);  // log2 |centre|

Ball operator+(const Ball& a, const Ball& b);
Ball operator-(const Ball& a, const Ball& b);
Ball operator*(const Ball& a, const Ball& b);
// Nothing where the function is not defined, or where the error does not say on which side of a pole or a cut one is.
std::optional<Ball> inverse(const Ball& z);
std::optional<Ball> exp(const Ball& z);
std::optional<Ball> log(const Ball& z);  // principal branch
std::optional<Ball> power(const Ball& z, long n);
// Principal value; of a negative real number an odd root is real: num/den in lowest terms, den > 1.
std::optional<Ball> power(const Ball& z, long num, long den);
std::optional<Ball> power(const Ball& z, const Ball& exponent);
std::optional<Ball> absolute(const Ball& z);
// sin, cos, tan, cot, sec, csc, their hyperbolic fellows and inverses; nothing for another name.
std::optional<Ball> trigonometric(std::string_view name, const Ball& z);

}  // namespace cohort::math
