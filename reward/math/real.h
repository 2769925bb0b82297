// Real functions to kBits bits: what the balls of numeric.h are made of. Arguments are taken as exact; the results are
// right to a few units of the last of kBits bits. Pure functions on GMP's floats.
#pragma once

#include <gmpxx.h>

#include <utility>

namespace cohort::math {

constexpr int kBits = 384;
constexpr int kWorkBits = 512;  // what is computed with

using Real = mpf_class;

Real real(double value);
Real real(const mpq_class& value);
const Real& pi();

// log2(|x|), accurate to 1e-9; -1e18 for zero.
double log2_of(const Real& x);

Real sqrt_of(const Real& x);                   // x >= 0
Real exp_of(const Real& x);                    // |x| <= 20000
Real log_of(const Real& x);                    // x > 0
std::pair<Real, Real> sin_cos(const Real& x);  // |x| < 2^60
Real atan2_of(const Real& y, const Real& x);   // not both zero

}  // namespace cohort::math
