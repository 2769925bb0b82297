#include "reward/math/real_set.h"

#include <algorithm>
#include <string>

#include "reward/math/exact.h"

namespace cohort::math {
namespace {

constexpr size_t kMaxIntervals = 64;

Expr infinity(bool positive) {
  Expr inf = node(Kind::kConstant, {}, "inf");
  return positive ? inf : negated(std::move(inf));
}

// -1, 0, 1: minus infinity, finite, infinity.
int infinite_sign(const Expr& e) {
  if (e.is_constant("inf")) return 1;
  if (e.is(Kind::kMul) && e.args.size() == 2 && e.args[0].is(Kind::kNumber) && e.args[1].is_constant("inf"))
    return sgn(e.args[0].value);
  return 0;
}

// -1, 0, 1, or 2 when it cannot be told.
int compare_bounds(const Expr& a, const Expr& b, Budget& budget) {
  const int x = infinite_sign(a), y = infinite_sign(b);
  if (x != 0 || y != 0) return x == y ? 0 : x < y ? -1 : 1;
  return order(a, b, budget);
}

// Sorts, and joins what overlaps or touches. False when bounds cannot be compared.
bool tidy(RealSet& set, Budget& budget) {
  if (set.size() > kMaxIntervals) return false;
  bool told = true;
  // Insertion: the order must be asked for pair by pair, since it may fail.
  for (size_t i = 1; i < set.size() && told; ++i) {
    for (size_t j = i; j > 0; --j) {
      const int c = compare_bounds(set[j - 1].low, set[j].low, budget);
      if (c == 2) told = false;
      if (c == 2 || c < 0 || (c == 0 && (set[j - 1].low_closed || !set[j].low_closed))) break;
      std::swap(set[j - 1], set[j]);
    }
  }
  RealSet joined;
  for (Interval& next : set) {
    if (!joined.empty()) {
      Interval& last = joined.back();
      const int c = compare_bounds(next.low, last.high, budget);
      if (c == 2) return false;
      if (c < 0 || (c == 0 && (next.low_closed || last.high_closed))) {
        const int end = compare_bounds(next.high, last.high, budget);
        if (end == 2) return false;
        if (end > 0) {
          last.high = next.high;
          last.high_closed = next.high_closed;
        } else if (end == 0) {
          last.high_closed |= next.high_closed;
        }
        continue;
      }
    }
    joined.push_back(std::move(next));
  }
  set = std::move(joined);
  return told;
}

// The parts of `set` that lie in `other`.
std::optional<RealSet> intersection(const RealSet& set, const RealSet& other, Budget& budget) {
  RealSet out;
  for (const Interval& a : set) {
    for (const Interval& b : other) {
      const int low = compare_bounds(a.low, b.low, budget), high = compare_bounds(a.high, b.high, budget);
      if (low == 2 || high == 2) return std::nullopt;
      Interval both{low >= 0 ? a.low : b.low, high <= 0 ? a.high : b.high,
                    low > 0   ? a.low_closed
                    : low < 0 ? b.low_closed
                              : a.low_closed && b.low_closed,
                    high < 0   ? a.high_closed
                    : high > 0 ? b.high_closed
                               : a.high_closed && b.high_closed};
      const int size = compare_bounds(both.low, both.high, budget);
      if (size == 2) return std::nullopt;
      if (size < 0 || (size == 0 && both.low_closed && both.high_closed)) out.push_back(std::move(both));
      if (out.size() > kMaxIntervals) return std::nullopt;
    }
  }
  return tidy(out, budget) ? std::optional(out) : std::nullopt;
}

RealSet complement(const RealSet& set) {
  RealSet out;
  Expr low = infinity(false);
  bool closed = false;
  for (const Interval& i : set) {
    if (infinite_sign(i.low) != -1) out.push_back({low, i.low, closed, !i.low_closed});
    low = i.high;
    closed = !i.high_closed;
  }
  if (infinite_sign(low) != 1) out.push_back({low, infinity(true), closed, false});
  return out;
}

bool is_inequality(const Expr& e) {
  if (!e.is(Kind::kRelation)) return false;
  return std::ranges::all_of(e.name, [](char c) { return c == '<' || c == '>' || c == '[' || c == ']' || c == '#'; });
}

// The only symbol of the tree; "" when there is none, "?" when there are several.
std::string only_symbol(const Expr& e) {
  if (e.is(Kind::kSymbol)) return e.name;
  std::string name;
  for (const Expr& arg : e.args) {
    const std::string inner = only_symbol(arg);
    if (inner.empty() || inner == name) continue;
    name = name.empty() ? inner : "?";
  }
  return name;
}

Expr without_symbol(const Expr& e) {
  if (e.is(Kind::kSymbol)) return number(0);
  Expr copy = e;
  for (Expr& arg : copy.args) arg = without_symbol(arg);
  return copy;
}

// left REL right, linear in its symbol.
std::optional<RealSet> half_line(const Expr& left, const Expr& right, char relation, Budget& budget) {
  std::vector<Expr> args;
  args.push_back(left);
  args.push_back(negated(right));
  const Expr difference = node(Kind::kAdd, std::move(args));
  mpq_class slope = 0;
  Expr bound;
  if (left.is(Kind::kSymbol) && !has_symbols(right)) {
    slope = 1;
    bound = right;
  } else if (right.is(Kind::kSymbol) && !has_symbols(left)) {
    slope = -1;
    bound = left;
  } else {
    Exact exact(budget);
    const std::optional<Quotient> q = exact.evaluate(difference);
    if (!q || q->bottom.size() != 1 || !q->bottom.begin()->first.empty()) return std::nullopt;
    for (const auto& [monomial, coefficient] : q->top) {
      const bool free = std::ranges::none_of(monomial, [](const Factor& f) { return f.atom >= kFirstSymbol; });
      if (free) continue;
      if (monomial != Monomial{{kFirstSymbol, 1, 1}}) return std::nullopt;
      slope = coefficient;
    }
    if (slope == 0) return std::nullopt;
    std::vector<Expr> parts;
    parts.push_back(number(-1 / slope));
    parts.push_back(without_symbol(difference));
    bound = node(Kind::kMul, std::move(parts));
  }
  if (infinite_sign(bound) != 0 && relation == '#') return std::nullopt;
  if (relation == '#') return complement({{bound, bound, true, true}});
  const bool above = (relation == '>' || relation == ']') == (slope > 0);
  const bool closed = (relation == '[' || relation == ']') && infinite_sign(bound) == 0;
  if (above) return RealSet{{bound, infinity(true), closed, false}};
  return RealSet{{infinity(false), bound, false, closed}};
}

char mirrored(char relation) {
  constexpr std::string_view kSides = "<>[]";
  const size_t at = kSides.find(relation);
  return at == kSides.npos ? relation : kSides[at ^ 1];
}

// |x - 1| < 2 is -2 < x - 1 < 2, and |x - 1| > 2 what is not in -2 <= x - 1 <= 2.
std::optional<RealSet> one_relation(const Expr& left, const Expr& right, char relation, Budget& budget) {
  const auto is_abs = [](const Expr& e) { return e.is(Kind::kFunction) && e.name == "abs" && e.args.size() == 1; };
  if (is_abs(right) && !has_symbols(left)) return one_relation(right, left, mirrored(relation), budget);
  if (!is_abs(left) || has_symbols(right) || relation == '#') return half_line(left, right, relation, budget);
  std::optional<RealSet> above = half_line(left.args[0], right, relation, budget);
  const std::optional<RealSet> below = half_line(left.args[0], negated(right), mirrored(relation), budget);
  if (!above || !below) return std::nullopt;
  if (relation == '<' || relation == '[') return intersection(*above, *below, budget);
  above->insert(above->end(), below->begin(), below->end());
  return tidy(*above, budget) ? above : std::nullopt;
}

std::optional<RealSet> solutions(const Expr& relation, Budget& budget) {
  RealSet all = {{infinity(false), infinity(true), false, false}};
  const std::string symbol = only_symbol(relation);
  if (symbol.empty() || symbol == "?") return std::nullopt;
  for (size_t i = 0; i < relation.name.size(); ++i) {
    const std::optional<RealSet> one = one_relation(relation.args[i], relation.args[i + 1], relation.name[i], budget);
    if (!one) return std::nullopt;
    std::optional<RealSet> next = intersection(all, *one, budget);
    if (!next) return std::nullopt;
    all = std::move(*next);
  }
  return all;
}

// Inequalities in a list: "or" joins them, "and" and "not equal" beside at most one other narrow.
std::optional<RealSet> listed(const Expr& e, Budget& budget) {
  const auto excluding = std::ranges::count_if(e.args, [](const Expr& arg) { return arg.name == "#"; });
  const bool narrow = e.name == "and" || (e.name != "or" && excluding + 1 >= std::ssize(e.args)) || excluding == std::ssize(e.args);
  std::optional<RealSet> all;
  std::string symbol;
  for (const Expr& arg : e.args) {
    const std::string name = only_symbol(arg);
    if (name != "set:R") {
      if (!symbol.empty() && name != symbol) return std::nullopt;
      symbol = name;
    }
    std::optional<RealSet> next = real_set(arg, budget);
    if (!next) return std::nullopt;
    if (!all) {
      all = std::move(next);
    } else if (narrow) {
      all = intersection(*all, *next, budget);
      if (!all) return std::nullopt;
    } else {
      for (Interval& i : *next) all->push_back(std::move(i));
      if (!tidy(*all, budget)) return std::nullopt;
    }
  }
  return all;
}

}  // namespace

bool describes_set(const Expr& e) {
  switch (e.kind) {
    case Kind::kTuple:
      return e.args.size() == 2 && e.name != "()" && e.name != "<>" && e.name != "::";
    case Kind::kUnion:
    case Kind::kIntersection:
    case Kind::kDifference:
      return true;
    case Kind::kSymbol:
      return e.name == "set:R";
    case Kind::kRelation:
      return is_inequality(e) || (e.name == "e" && e.args[0].is(Kind::kSymbol));
    case Kind::kSetBuilder:
      return true;
    case Kind::kList:
      return !e.args.empty() && std::ranges::all_of(e.args, [](const Expr& arg) { return is_inequality(arg); });
    default:
      return false;
  }
}

std::optional<RealSet> real_set(const Expr& e, Budget& budget) {
  if (!budget.spend(500)) return std::nullopt;
  switch (e.kind) {
    case Kind::kSymbol:
      if (e.name != "set:R") return std::nullopt;
      return RealSet{{infinity(false), infinity(true), false, false}};
    case Kind::kTuple: {
      if (e.args.size() != 2 || e.name == "<>" || e.name == "::") return std::nullopt;
      if (compare_bounds(e.args[0], e.args[1], budget) != -1) return std::nullopt;
      const bool low = e.name[0] == '[' && infinite_sign(e.args[0]) == 0;
      const bool high = e.name[1] == ']' && infinite_sign(e.args[1]) == 0;
      return RealSet{{e.args[0], e.args[1], low, high}};
    }
    case Kind::kSet: {
      RealSet points;
      for (const Expr& arg : e.args) {
        if (compare_bounds(arg, number(0), budget) == 2) return std::nullopt;
        points.push_back({arg, arg, true, true});
      }
      return tidy(points, budget) ? std::optional(points) : std::nullopt;
    }
    case Kind::kUnion: {
      std::optional<RealSet> a = real_set(e.args[0], budget), b = real_set(e.args[1], budget);
      if (!a || !b) return std::nullopt;
      for (Interval& i : *b) a->push_back(std::move(i));
      return tidy(*a, budget) ? a : std::nullopt;
    }
    case Kind::kIntersection:
    case Kind::kDifference: {
      const std::optional<RealSet> a = real_set(e.args[0], budget), b = real_set(e.args[1], budget);
      if (!a || !b) return std::nullopt;
      return intersection(*a, e.is(Kind::kDifference) ? complement(*b) : *b, budget);
    }
    case Kind::kRelation:
      if (e.name == "e" && e.args[0].is(Kind::kSymbol)) return real_set(e.args[1], budget);
      return is_inequality(e) ? solutions(e, budget) : std::nullopt;
    case Kind::kSetBuilder: {
      // {x | x > 1}, {x in R : x > 1}
      if (e.args.size() != 2) return std::nullopt;
      const bool plain = e.args[0].is(Kind::kSymbol) ||
                         (e.args[0].is(Kind::kRelation) && e.args[0].name == "e" && e.args[0].args[1].name == "set:R");
      return plain ? real_set(e.args[1], budget) : std::nullopt;
    }
    case Kind::kList:
      return listed(e, budget);
    default:
      return std::nullopt;
  }
}

std::string set_variable(const Expr& e) {
  switch (e.kind) {
    case Kind::kRelation:
      return e.name == "e" ? only_symbol(e.args[0]) : only_symbol(e);
    case Kind::kList:
    case Kind::kUnion:
    case Kind::kIntersection:
    case Kind::kDifference:
      for (const Expr& arg : e.args)
        if (std::string name = set_variable(arg); !name.empty()) return name;
      return "";
    default:
      return "";
  }
}

Truth equal_sets(const RealSet& a, const RealSet& b, Budget& budget) {
  if (a.size() != b.size()) return Truth::kNo;
  Truth all = Truth::kYes;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].low_closed != b[i].low_closed || a[i].high_closed != b[i].high_closed) return Truth::kNo;
    for (const bool low : {true, false}) {
      const int c = low ? compare_bounds(a[i].low, b[i].low, budget) : compare_bounds(a[i].high, b[i].high, budget);
      if (c != 0 && c != 2) return Truth::kNo;
      if (c == 2) all = Truth::kUnknown;
    }
  }
  return all;
}

}  // namespace cohort::math
