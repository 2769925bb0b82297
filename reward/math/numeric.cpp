#include "reward/math/numeric.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "core/rng.h"
#include "reward/math/ball.h"

namespace cohort::math {
namespace {

constexpr double kAgree = 100;  // bits
constexpr uint32_t kPoints = 4;
constexpr double kPlainScale = 16, kSymbolScale = 160;  // bits: what Point::scale passes over
constexpr int64_t kSimpleWork = 500, kFunctionWork = 60'000;

uint64_t hash_of(std::string_view text) {  // FNV-1a
  uint64_t h = 14695981039346656037u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return h;
}

struct Point {
  uint64_t seed;
  uint32_t index;
  bool log_is_natural;
  Budget& budget;
  bool bent_steps = false;    // floor and ceil as functions that share only what holds for all x, see function()
  mutable double scales = 0;  // bits between the magnitudes of what was put together; see needed()

  // How many bits must agree. A term 2^-n of another can make a difference of 2^-2n (cos), which must be seen.
  double needed() const { return kAgree + 2 * scales; }
  void scale(double bits, const Expr& e) const {
    if (bits > kPlainScale && (bits > kSymbolScale || !has_symbols(e))) scales += bits;
  }

  // A number in (1/4, 4) with 64 random bits, on the later points perhaps with a minus, then in (256, 4096) too.
  Ball value(std::string_view name) const {
    const uint64_t h = hash_of(name);
    const auto bits = random_bits(seed, Stream::kTest, index, static_cast<uint32_t>(h), static_cast<uint32_t>(h >> 32));
    Real x = real(mpq_class(mpz_class(static_cast<unsigned long>((uint64_t{bits[0]} << 32) | bits[1]))));
    mpf_div_2exp(x.get_mpf_t(), x.get_mpf_t(), 64);
    x = Real(x * 3.75 + 0.25, kWorkBits);
    if (index >= kPoints && bits[3] % 2 == 1) mpf_mul_2exp(x.get_mpf_t(), x.get_mpf_t(), 10);
    // The first of those has them all below 0: what differs there alone is seen for certain.
    return ball(index == kPoints / 2 || (index > kPoints / 2 && bits[2] % 2 == 1) ? Real(-x, kWorkBits) : x);
  }

  std::optional<Ball> walk(const Expr& e) const;
  std::optional<Ball> raise(const Expr& base, const Expr& exponent, bool root) const;
  std::optional<Ball> function(const Expr& e) const;
};

std::optional<Ball> Point::walk(const Expr& e) const {
  if (!budget.spend(kSimpleWork)) return std::nullopt;
  switch (e.kind) {
    case Kind::kNumber: {
      Ball z = ball(real(e.value));
      z.error = size(z) - kBits;
      return z;
    }
    case Kind::kSymbol:
      if (e.name.starts_with("set:") || e.name == "...") return std::nullopt;
      return value(e.name);
    case Kind::kConstant:
      if (e.name == "i") return Ball{real(0.0), real(1.0), kExact};
      if (e.name == "pi") return Ball{pi(), real(0.0), -kBits};
      if (e.name == "e") return exp(ball(real(1.0)));
      return std::nullopt;
    case Kind::kAdd:
    case Kind::kMul: {
      std::optional<Ball> total;
      for (const Expr& arg : e.args) {
        const std::optional<Ball> z = walk(arg);
        if (!z || size(*z) > 30000) return std::nullopt;
        if (total && e.is(Kind::kAdd) && size(*total) > kExact && size(*z) > kExact)
          scale(fabs(size(*z) - (has_symbols(e) ? 0.0 : size(*total))), arg);
        total = !total ? *z : e.is(Kind::kAdd) ? *total + *z : *total * *z;
      }
      return total;
    }
    case Kind::kPow:
    case Kind::kRoot:
      return raise(e.args[0], e.args[1], e.is(Kind::kRoot));
    case Kind::kPercent:
    case Kind::kDegree: {
      const std::optional<Ball> z = walk(e.args[0]);
      if (!z) return std::nullopt;
      const Ball hundredth = ball(real(mpq_class(1, e.is(Kind::kPercent) ? 100 : 180)));
      const Ball scaled = *z * Ball{hundredth.re, hundredth.im, -static_cast<double>(kBits)};
      return e.is(Kind::kPercent) ? scaled : scaled * Ball{pi(), real(0.0), -kBits};
    }
    case Kind::kBased:
      return walk(e.args[0]);
    case Kind::kFunction:
      return function(e);
    default:
      return std::nullopt;
  }
}

std::optional<Ball> Point::raise(const Expr& base, const Expr& exponent, bool root) const {
  if (!budget.spend(kFunctionWork)) return std::nullopt;
  if (base.is_constant("e") && !root) {
    const std::optional<Ball> z = walk(exponent);
    if (z) scale(-size(*z), exponent);
    return z ? exp(*z) : std::nullopt;
  }
  const std::optional<Ball> z = walk(base);
  if (!z) return std::nullopt;
  if (exponent.is(Kind::kNumber) && fabs(exponent.value.get_d()) < 1e6 && exponent.value.get_den() < 1000) {
    long num = exponent.value.get_num().get_si(), den = exponent.value.get_den().get_si();
    if (root) {
      if (num == 0) return std::nullopt;
      std::swap(num, den);
      if (den < 0) num = -num, den = -den;
    }
    return den == 1 ? power(*z, num) : power(*z, num, den);
  }
  std::optional<Ball> n = walk(exponent);
  if (n && root) n = inverse(*n);
  if (n) scale(-size(*n), exponent);
  return n ? power(*z, *n) : std::nullopt;
}

std::optional<Ball> Point::function(const Expr& e) const {
  if (!budget.spend(2 * kFunctionWork)) return std::nullopt;
  if (e.args.empty()) return std::nullopt;
  const std::optional<Ball> z = walk(e.args[0]);
  if (!z) return std::nullopt;
  if (e.name == "abs") return absolute(*z);
  if (e.name == "ln") return log(*z);
  if (e.name == "log") {
    const std::optional<Ball> top = log(*z);
    if (!top || (e.args.size() == 1 && log_is_natural)) return top;
    const std::optional<Ball> base = e.args.size() > 1 ? walk(e.args[1]) : ball(real(10.0));
    const std::optional<Ball> bottom = base ? log(*base) : std::nullopt;
    const std::optional<Ball> scale = bottom ? inverse(*bottom) : std::nullopt;
    return scale ? std::optional(*top * *scale) : std::nullopt;
  }
  if ((e.name == "floor" || e.name == "ceil") && bent_steps) {
    // x - t and x + t for the distance t; with t^2 instead, ceil(x) = -floor(-x) and floor(x + 1) = floor(x) + 1 stay
    // true, but ceil(x) = floor(x) + 1, which no random x would refute, becomes false.
    const bool down = e.name == "floor";
    const Ball t = down ? *z - ball(Real(floor(z->re), kWorkBits)) : ball(Real(ceil(z->re), kWorkBits)) - *z;
    return down ? *z - t * t : *z + t * t;
  }
  if (e.name == "floor" || e.name == "ceil") {
    if (!z->real_valued() || z->error > -kAgree || log2_of(z->re) > 200) return std::nullopt;
    Real nearest(floor(Real(z->re + 0.5, kWorkBits)), kWorkBits);
    if (log2_of(Real(z->re - nearest, kWorkBits)) <= z->error + 1) return ball(nearest);  // a whole number
    return ball(e.name == "floor" ? Real(floor(z->re), kWorkBits) : Real(ceil(z->re), kWorkBits));
  }
  if (e.name == "binom" && e.args.size() == 2 && e.args[1].is_integer() && e.args[1].value >= 0 &&
      e.args[1].value <= 50) {
    Ball product = ball(real(1.0));  // n (n - 1) ... (n - k + 1) / k!
    for (int i = 0; i < e.args[1].value.get_num().get_si(); ++i) {
      const Ball step = ball(real(mpq_class(1, i + 1)));
      product =
          product * (*z - ball(real(static_cast<double>(i)))) * Ball{step.re, step.im, -static_cast<double>(kBits)};
    }
    return product;
  }
  if (e.name == "max" || e.name == "min") {
    std::optional<Ball> best = z;
    for (size_t i = 1; i < e.args.size(); ++i) {
      const std::optional<Ball> other = walk(e.args[i]);
      if (!other || !other->real_valued() || !best->real_valued()) return std::nullopt;
      if (e.name == "max" ? other->re > best->re : other->re < best->re) best = other;
    }
    return best;
  }
  const bool hyperbolic = e.name.ends_with('h') && !e.name.starts_with("ar");
  if (size(*z) > kExact) scale(hyperbolic ? std::max(3 * fabs(z->re.get_d()), -size(*z)) : fabs(size(*z)), e.args[0]);
  return trigonometric(e.name, *z);
}

// How many points it takes. Where a function consists of pieces, each must be met.
uint32_t points_for(const Expr& e) {
  const bool root = e.is(Kind::kRoot) || (e.is(Kind::kPow) && !e.args[1].is_integer());
  uint32_t points = root ? 4 * kPoints : kPoints;
  if (e.is(Kind::kFunction))
    for (const std::string_view name : {"abs", "max", "min", "floor", "ceil", "arctan", "arccot", "arcsin", "arccos", "arcsec", "arccsc"})
      if (e.name == name) points = 4 * kPoints;
  if (!has_symbols(e)) points = 1;
  for (const Expr& arg : e.args) points = std::max(points, points_for(arg));
  return points;
}

bool has_steps(const Expr& e) {
  if (e.is(Kind::kFunction) && (e.name == "floor" || e.name == "ceil") && has_symbols(e)) return true;
  return std::ranges::any_of(e.args, has_steps);
}

double agreement(const Ball& difference, const Ball& a, const Ball& b) {
  return std::max({size(a), size(b), -200.0}) - difference.error;
}

}  // namespace

Truth equal_by_value(const Expr& a, const Expr& b, bool log_is_natural, uint64_t seed, Budget& budget) {
  const bool constant = !has_symbols(a) && !has_symbols(b);
  int agreed = 0;
  const uint32_t points = std::max(points_for(a), points_for(b));
  const bool steps = has_steps(a) || has_steps(b);
  for (uint32_t index = 0; index < points + steps; ++index) {
    const Point point{seed, index, log_is_natural, budget, index == points};
    const std::optional<Ball> x = point.walk(a), y = x ? point.walk(b) : std::nullopt;
    if (point.bent_steps && !(x && y)) return Truth::kUnknown;
    if (!x || !y) continue;
    // Where a real function leaves the real numbers it has no value.
    if (!constant && index >= kPoints / 2 && !(x->real_valued() && y->real_valued()) && !contains(a, Kind::kConstant))
      continue;
    const Ball difference = *x - *y;
    if (!difference.may_be_zero()) return point.bent_steps ? Truth::kUnknown : Truth::kNo;
    if (agreement(difference, *x, *y) >= point.needed())
      ++agreed;
    else if (index < kPoints || point.bent_steps)
      return Truth::kUnknown;
  }
  return agreed >= (constant ? 1 : 2) ? Truth::kYes : Truth::kUnknown;
}

Truth proportional(const Expr& a, const Expr& b, bool positive, uint64_t seed, Budget& budget) {
  std::optional<Ball> ratio;
  int agreed = 0;
  for (uint32_t index = 0; index < kPoints; ++index) {
    const Point point{seed, index, true, budget};
    const std::optional<Ball> x = point.walk(a), y = x ? point.walk(b) : std::nullopt;
    const std::optional<Ball> below = y ? inverse(*y) : std::nullopt;
    if (!below) continue;
    const Ball here = *x * *below;
    if (here.may_be_zero()) return Truth::kNo;
    if (positive && !(here.real_valued() && here.re > 0)) return Truth::kNo;
    if (ratio) {
      const Ball difference = here - *ratio;
      if (!difference.may_be_zero()) return Truth::kNo;
      if (agreement(difference, here, *ratio) < point.needed()) return Truth::kUnknown;
      ++agreed;
    } else {
      ratio = here;
    }
  }
  return agreed >= 1 ? Truth::kYes : Truth::kUnknown;
}

int order(const Expr& a, const Expr& b, Budget& budget) {
  if (a.is(Kind::kNumber) && b.is(Kind::kNumber)) return cmp(a.value, b.value) < 0 ? -1 : a.value == b.value ? 0 : 1;
  const Point point{0, 0, false, budget};
  const std::optional<Ball> x = point.walk(a), y = x ? point.walk(b) : std::nullopt;
  if (!x || !y || !x->real_valued() || !y->real_valued()) return 2;
  const Ball difference = *x - *y;
  if (difference.may_be_zero()) return agreement(difference, *x, *y) >= point.needed() ? 0 : 2;
  return difference.re < 0 ? -1 : 1;
}

}  // namespace cohort::math
