// Is an answer the gold answer? What a mathematician would say, kind by kind (docs/rewards.md has the rules).
#pragma once

#include "reward/math/budget.h"
#include "reward/math/expr.h"
#include "reward/math/numeric.h"

namespace cohort::math {

struct CompareOptions {
  bool round = false;           // a decimal gold of n places stands for every number that rounds to it
  bool percent_either = false;  // 25 and 0.25 are both 25 %
};

class Comparison {
 public:
  // `formula`: one of the two stands between signs of a formula, so that two letters are a product.
  Comparison(const CompareOptions& options, uint64_t seed, bool formula = false)
      : options_(options), seed_(seed), formula_(formula) {}
  Truth equal(const Expr& gold, const Expr& answer);
  Budget& budget() { return budget_; }

 private:
  // compare.cpp: by kind
  Truth equal_prepared(const Expr& gold, const Expr& answer, int depth);
  Truth equal_all(const std::vector<Expr>& gold, const std::vector<Expr>& answer, int depth);        // in order
  Truth equal_unordered(const std::vector<Expr>& gold, const std::vector<Expr>& answer, int depth);  // as sets
  Truth equal_sequences(const Expr& gold, const Expr& answer, int depth);
  Truth equal_letters(const std::string& gold, const std::string& answer) const;
  Truth equal_ratios(const std::vector<Expr>& gold, const std::vector<Expr>& answer);
  Truth equal_texts(const Expr& gold, const Expr& answer, int depth);
  // compare_relation.cpp
  Truth equal_relations(const Expr& gold, const Expr& answer, int depth);
  bool says_false(const Expr& relation, int depth);
  Truth equal_to_solved(const Expr& relation, const Expr& other, bool relation_is_gold, int depth);
  Truth equal_equations(const Expr& gold, const Expr& answer);
  // compare_scalar.cpp
  Truth equal_measures(const Expr& gold, const Expr& answer);  // with units, degrees, percent
  Truth equal_scalars(const Expr& gold, const Expr& answer);
  bool rounds_to(const Expr& gold, const Expr& answer);

  CompareOptions options_;
  uint64_t seed_;
  bool formula_;
  Budget budget_;
};

// Both signs of "+-", relations in chains and lists made plain; what compare.cpp works on.
Expr prepared(const Expr& e);

Truth both(Truth a, Truth b);    // and
Truth either(Truth a, Truth b);  // or
Truth truth(bool yes);

// Is the tree a number or a function, something with a value?
bool is_scalar(const Expr& e);

}  // namespace cohort::math
