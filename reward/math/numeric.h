// Equality by value: both sides computed to 384 bits in interval arithmetic, at random points where they have symbols.
#pragma once

#include <cstdint>

#include "reward/math/budget.h"
#include "reward/math/expr.h"

namespace cohort::math {

enum class Truth { kNo, kYes, kUnknown };

// kNo is proved by intervals that do not meet. kYes: at every point where both sides are defined (at least two, or the
// one value of constants) they agree to 100 bits. Two different functions agree so by chance with a probability below
// 2^-50 for each point: polynomials of degree d at most d 2^-60 (Schwartz 1980, Zippel 1979), and two different
// constants of this size do not occur by chance. kUnknown: too large, or undefined at too many points.
// Points: half of them positive, half of both signs, so that sqrt(x^2) is not x; a pure function of `seed`.
// `log_is_natural` says what "log" without a base is.
Truth equal_by_value(const Expr& a, const Expr& b, bool log_is_natural, uint64_t seed, Budget& budget);

// Is a / b one constant at all points, positive when `positive`? Says whether two equations (inequalities) a = 0 and
// b = 0 (a > 0, b > 0) are the same but for a factor.
Truth proportional(const Expr& a, const Expr& b, bool positive, uint64_t seed, Budget& budget);

// -1, 0, 1 by a - b for real constants; 2 when that cannot be told.
int order(const Expr& a, const Expr& b, Budget& budget);

}  // namespace cohort::math
