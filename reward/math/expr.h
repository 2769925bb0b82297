// An answer as a tree: numbers, symbols and operations, and what answers are made of beside them (tuples, sets,
// intervals, matrices, relations, units, words).
#pragma once

#include <gmpxx.h>

#include <string>
#include <vector>

namespace cohort::math {

enum class Kind : uint8_t {
  kNumber,      // value
  kSymbol,      // name, e.g. "x", "theta", "x_1"
  kConstant,    // name: "pi", "e", "i", "inf"
  kAdd,         // args
  kMul,         // args; name "call" for a symbol before brackets, "\"ab" for letters without any sign between them
  kPow,         // base, exponent
  kRoot,        // radicand, degree (a positive integer in every case that can be computed)
  kFunction,    // name, args; "log" has the base as second argument, if one was written
  kPlusMinus,   // a single argument; name "-" for \mp
  kPercent,     // args[0] / 100
  kDegree,      // args[0] degrees
  kMinute,      // args[0] in sixtieths of a degree, or feet
  kUnit,        // args[0], name: the unit's words
  kBased,       // digits in name, base in value; args[0]: the number that they mean
  kTuple,       // args; name: the brackets, e.g. "()" or "[)"
  kSet,         // args
  kSetBuilder,  // variable or expression, then conditions
  kList,        // args: answers beside each other ("1, 2", "1 or 2"); name: "or", "and" or ""
  kMatrix,      // args: rows, each a kTuple; name: "det", "lines" (cases, aligned) or ""
  kRelation,    // args, name: one character for each relation between them
  kUnion,       // args
  kIntersection,
  kDifference,
  kText,  // name: words
};

// Relations in Expr::name: '=', '#' (not equal), '<', '>', '[' (at most), ']' (at least), '~' (about), 'e' (element
// of), 'm' (congruent).
struct Expr {
  Kind kind = Kind::kNumber;
  bool literal = false;  // a number that stands as such in the text, without sign
  int16_t decimals = 0;  // digits behind the point of a literal, if it has one; below 0: 12e3 ends at the thousands
  bool has_last_place = false;  // `decimals` says where the last digit stands: a literal, perhaps with a sign
  std::string name;
  mpq_class value;
  std::vector<Expr> args;

  bool is(Kind k) const { return kind == k; }
  bool is_constant(const char* n) const { return kind == Kind::kConstant && name == n; }
  bool is_integer() const { return kind == Kind::kNumber && value.get_den() == 1; }
};

Expr number(mpq_class value);
Expr symbol(std::string name);
Expr node(Kind kind, std::vector<Expr> args, std::string name = "");
Expr negated(Expr e);

// Are the trees the same, node by node?
bool same_tree(const Expr& a, const Expr& b);
bool contains(const Expr& e, Kind kind);
bool has_symbols(const Expr& e);
size_t count_nodes(const Expr& e);
// The letters that a product without any sign is spelled with ("IX", "a b"); "" for every other tree.
std::string spelled(const Expr& e);

// For reasons: the tree in one line, e.g. "2*x + 1", cut after `limit` bytes.
std::string to_text(const Expr& e, size_t limit = 120);

}  // namespace cohort::math
