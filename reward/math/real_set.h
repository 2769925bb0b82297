// Sets of real numbers as unions of intervals: what "(1, 3]", "1 < x <= 3" and "x < 1 or x > 2" have in common.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reward/math/budget.h"
#include "reward/math/expr.h"
#include "reward/math/numeric.h"

namespace cohort::math {

// From low to high, either of them perhaps infinite ("inf", -1 * "inf"); a point has low = high, both closed.
struct Interval {
  Expr low, high;
  bool low_closed = false, high_closed = false;
};

// In order, with gaps between them.
using RealSet = std::vector<Interval>;

// Is the tree one that stands for a set of numbers: an interval, a union, an inequality?
bool describes_set(const Expr& e);

// Nothing where a bound cannot be compared, or the tree is something else. Sets of points count too.
std::optional<RealSet> real_set(const Expr& e, Budget& budget);

// The symbol whose values an inequality, a membership or several of them describe; "" where none is named: an interval,
// or a set with its own bound symbol.
std::string set_variable(const Expr& e);

Truth equal_sets(const RealSet& a, const RealSet& b, Budget& budget);

}  // namespace cohort::math
