// Equations, inequalities, and values behind a name ("x = 5", "f(x) = 2x", "x in [1, 2]").
#include <algorithm>
#include <optional>

#include "reward/math/compare.h"
#include "reward/math/words.h"

namespace cohort::math {
namespace {

// Something that an equation may give a value to.
bool is_name(const Expr& e) {
  if (e.is(Kind::kSymbol) || e.is(Kind::kText)) return true;
  if (e.is(Kind::kMul) && e.name == "call" && e.args.size() == 2 && e.args[0].is(Kind::kSymbol)) return true;
  if (e.is(Kind::kUnit) || e.is(Kind::kDegree)) return false;
  // AB, the length of a line.
  if (const std::string letters = spelled(e); !letters.empty()) return std::ranges::all_of(letters, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!e.is(Kind::kTuple) || e.args.empty()) return false;
  for (const Expr& arg : e.args)
    if (!arg.is(Kind::kSymbol)) return false;
  return true;
}

bool is_call(const Expr& e) { return e.is(Kind::kMul) && e.name == "call"; }

struct Solved {
  const Expr* name = nullptr;  // null: a chain of constants
  const Expr* value = nullptr;
  const Expr* approximation = nullptr;  // what stands behind "about", if something does
};

// "x = 5", "5 = x", "x = 2 + 3 = 5", "x = pi/2 ~ 1.57", "x in S", "2 + 3 = 5".
std::optional<Solved> solved(const Expr& e) {
  Solved s;
  const bool element = e.name == "e";
  for (const char c : e.name)
    if (c != '=' && c != '~' && !element) return std::nullopt;
  size_t first = 0, last = e.args.size() - 1;
  if (is_name(e.args[0])) {
    s.name = &e.args[0];
    first = 1;
  } else if (is_name(e.args[last]) && !element) {
    s.name = &e.args[last];
    --last;
  }
  if (first > last) return std::nullopt;
  // m + n = 7 + 12 = 19 works a value out; x + y = 5 is a line.
  if (!s.name && last > 1 && e.name[0] == '=' && has_symbols(e.args[0])) {
    s.name = &e.args[0];
    first = 1;
    for (size_t i = 1; i <= last; ++i)
      if (has_symbols(e.args[i])) return std::nullopt;
  }
  if (!s.name)
    for (const Expr& arg : e.args)
      if (has_symbols(arg)) return std::nullopt;
  // The value: the last that is joined by '='. A chain that goes on with '~' has an exact value before it.
  size_t exact = first;
  while (exact < last && e.name[exact] == '=') ++exact;
  s.value = &e.args[exact];
  if (first > 0 && e.name[0] == '~')
    s.approximation = &e.args[1];
  else if (exact < last)
    s.approximation = &e.args[exact + 1];
  return s;
}

Expr difference(const Expr& a, const Expr& b) {
  std::vector<Expr> args;
  args.push_back(a);
  args.push_back(negated(b));
  return node(Kind::kAdd, std::move(args));
}

char mirrored(char relation) {
  switch (relation) {
    case '<':
      return '>';
    case '>':
      return '<';
    case '[':
      return ']';
    case ']':
      return '[';
    default:
      return relation;
  }
}

// "about 12", "x = 5/2 ~ 3": is the value that it gives only near? An exact gold is not answered by it.
bool is_near(const Expr& relation, const Solved& s) {
  return s.name && ((s.name == &relation.args.front() && relation.name.front() == '~') || (s.name == &relation.args.back() && relation.name.back() == '~'));
}

// 3.14, 3.14 m, -3.14: a gold that may have been rounded itself.
bool has_decimals(const Expr& e) {
  if (e.is(Kind::kNumber)) return e.decimals > 0;
  return !e.args.empty() && (e.is(Kind::kUnit) || e.is(Kind::kPercent) || e.is(Kind::kDegree) || e.is(Kind::kMul)) && has_decimals(e.args.back());
}

bool is_order(char c) { return c == '<' || c == '>' || c == '[' || c == ']'; }

}  // namespace

// Does a chain equate values that are different ("4 = 5", "x = 2 + 2 = 5")? Sides with symbols claim nothing here.
bool Comparison::says_false(const Expr& relation, int depth) {
  const Expr* last = nullptr;
  for (size_t i = 0; i < relation.args.size(); ++i) {
    if (i > 0 && relation.name[i - 1] != '=') return false;
    const Expr& side = relation.args[i];
    if (side.is(Kind::kText) || has_symbols(side)) continue;
    if (last && equal_prepared(*last, side, depth + 1) != Truth::kYes) return true;
    last = &side;
  }
  return false;
}

Truth Comparison::equal_relations(const Expr& gold, const Expr& answer, int depth) {
  if (answer.is(Kind::kRelation) && says_false(answer, depth)) return Truth::kNo;
  if (!gold.is(Kind::kRelation)) return equal_to_solved(answer, gold, false, depth);
  if (!answer.is(Kind::kRelation)) return equal_to_solved(gold, answer, true, depth);
  const std::optional<Solved> g = solved(gold), a = solved(answer);
  if (g && a) {
    const bool same_name = !g->name || !a->name || same_tree(*g->name, *a->name) || g->name->is(Kind::kText) ||
                           a->name->is(Kind::kText) || is_call(*g->name) != is_call(*a->name);
    if (same_name && is_near(answer, *a) && !g->approximation && !has_decimals(*g->value)) return Truth::kNo;
    if (same_name) {
      const Truth same = equal_prepared(*g->value, *a->value, depth + 1);
      if (same == Truth::kYes || (!spelled(*g->value).empty() && !spelled(*a->value).empty())) return same;
      if (g->approximation && rounds_to(*g->approximation, *a->value)) return Truth::kYes;
    }
  }
  return equal_equations(gold, answer);
}

Truth Comparison::equal_to_solved(const Expr& relation, const Expr& other, bool relation_is_gold, int depth) {
  const std::optional<Solved> s = solved(relation);
  if (!s) return Truth::kNo;
  if (relation_is_gold) {
    if (s->approximation && rounds_to(*s->approximation, other)) return Truth::kYes;
    return equal_prepared(*s->value, other, depth + 1);
  }
  if (is_near(relation, *s) && !has_decimals(other)) return Truth::kNo;
  return equal_prepared(other, *s->value, depth + 1);
}

// Two equations are one when their differences of sides are proportional; inequalities, by a positive factor.
Truth Comparison::equal_equations(const Expr& gold, const Expr& answer) {
  if (gold.args.size() != answer.args.size()) return Truth::kNo;
  for (const Expr* e : {&gold, &answer})
    for (const Expr& side : e->args)
      if (!is_scalar(side)) return Truth::kNo;
  // A chain is compared forwards or, with its relations mirrored, backwards.
  const size_t n = gold.name.size();
  for (const bool backwards : {false, true}) {
    Truth all = Truth::kYes;
    for (size_t i = 0; i < n && all != Truth::kNo; ++i) {
      const size_t j = backwards ? n - 1 - i : i;
      const Expr g = difference(gold.args[i], gold.args[i + 1]);
      const Expr a =
          backwards ? difference(answer.args[j + 1], answer.args[j]) : difference(answer.args[j], answer.args[j + 1]);
      const char relation = backwards ? mirrored(answer.name[j]) : answer.name[j];
      if (is_order(gold.name[i]) && gold.name[i] == mirrored(relation)) {
        all = both(all, n == 1 ? proportional(g, negated(a), true, seed_, budget_) : Truth::kNo);
      } else {
        all = both(all, gold.name[i] != relation ? Truth::kNo : proportional(g, a, is_order(relation), seed_, budget_));
      }
    }
    if (all != Truth::kNo) return all;
  }
  return Truth::kNo;
}

}  // namespace cohort::math
