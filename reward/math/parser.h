// Tokens to a tree. What does not fit the grammar is an error, never a guess at a part of it.
//
//   answer   = item { ("," | ";" | "or" | "and") item }
//   item     = [words] side { relation side }
//   side     = sum { (union | intersection | difference) sum } [unit]
//   sum      = ["+" | "-" | "+-"] term { ("+" | "-" | "+-") term }
//   term     = factor { ["*" | "/"] factor }          a literal before a fraction is a mixed number
//   factor   = primary { "!" | "%" | degrees | "^" exponent | "_" base }
#pragma once

#include <string>
#include <string_view>

#include "reward/math/expr.h"
#include "reward/math/number_text.h"

namespace cohort::math {

struct Parsed {
  Expr expr;
  bool ambiguous_commas = false;  // other Commas could give another tree
  std::string error;              // "" or why there is no tree
  bool ok() const { return error.empty(); }
};

Parsed parse_answer(std::string_view text, Commas commas = Commas::kGroups);

}  // namespace cohort::math
