// Trees to quotients of polynomials (poly.h), where they are such: rational numbers, surds, pi, e, i and symbols under
// + - * / and powers. Everything else (logarithms, nested roots, x^y) is left to numeric.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reward/math/expr.h"
#include "reward/math/poly.h"

namespace cohort::math {

struct Quotient {
  Poly top, bottom;  // the bottom is never zero
};

// Numbers the symbols; trees that are to be compared share one.
class Exact {
 public:
  explicit Exact(Budget& budget) : budget_(budget) {}
  // Nothing when the tree is no such quotient, divides by zero, or is too large.
  std::optional<Quotient> evaluate(const Expr& e);
  // Are two quotients the same function? Nothing when that is too much work.
  std::optional<bool> equal(const Quotient& a, const Quotient& b);

 private:
  bool walk(const Expr& e, Quotient& out);
  bool add(const Expr& e, Quotient& out);
  bool multiply_all(const Expr& e, Quotient& out);
  bool raise(const Quotient& base, const mpq_class& exponent, Quotient& out);
  bool raise_whole(const Quotient& base, int64_t n, Quotient& out);
  bool raise_term(const Poly& base, int64_t num, int64_t den, Poly& out);
  bool function(const Expr& e, Quotient& out);
  Atom symbol_atom(const std::string& name);

  Budget& budget_;
  std::vector<std::string> symbols_;
};

// The value when the tree is a rational number.
std::optional<mpq_class> rational_value(const Expr& e, Budget& budget);

}  // namespace cohort::math
