// The tokens of an answer, the same for LaTeX and plain text.
#pragma once

#include <gmpxx.h>

#include <string>
#include <string_view>
#include <vector>

#include "reward/math/number_text.h"

namespace cohort::math {

enum class Tok : uint8_t {
  kEnd,
  kNumber,    // value, decimals, power_of_ten
  kSymbol,    // name, with its subscript
  kConstant,  // pi, e, i, inf
  kFunction,  // sin, log, sqrt, ...
  kWord,      // letters of plain text that are nothing else
  kText,      // \text{...} and the like
  kPlus,
  kMinus,
  kPlusMinus,  // name "-" for \mp
  kTimes,
  kDivide,
  kPower,
  kSubscript,
  kFactorial,
  kPercent,
  kDegree,
  kPrime,
  kRelation,  // name: one character, see Expr
  kOpen,      // name: "(", "[", "{" (a set's), "<", "f" (floor), "c" (ceiling)
  kClose,     // name: ")", "]", "}", ">", "f", "c"
  kGroupOpen,
  kGroupClose,
  kBar,
  kComma,
  kSemicolon,
  kColon,
  kOr,
  kAnd,
  kFrac,
  kBinom,
  kBegin,  // name: the environment
  kEndEnvironment,
  kAmpersand,
  kRow,
  kUnion,
  kIntersection,
  kDifference,
  kDecoration,  // \overline, \vec, ...: name
  kCurrency,    // name: "dollar", ...
  kSet,         // name: N, Z, Q, R, C, empty
  kDots,
  kArrow,
  kMod,
};

struct Token {
  Tok kind = Tok::kEnd;
  bool space_before = false;
  int16_t decimals = 0;
  std::string name;
  mpq_class value;
  int64_t power_of_ten = 0;
};

struct Tokens {
  std::vector<Token> list;  // ends with kEnd
  bool latex = false;       // the text has commands
  bool ambiguous_commas = false;
  std::string error;  // "" or what cannot be read; then `list` is of no use
};

Tokens read_tokens(std::string_view text, Commas commas);

}  // namespace cohort::math
