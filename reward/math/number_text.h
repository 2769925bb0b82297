// Number literals: digits in groups, decimals, repeating decimals, exponents, as they stand in text or LaTeX.
#pragma once

#include <gmpxx.h>

#include <optional>
#include <string_view>

namespace cohort::math {

// How an ambiguous comma reads. kGroups: "1,234" is one number and "1,5" two; kSeparators: commas never belong to
// numbers; kDecimal: "1,5" is one and a half (continental), "1,234" and "1.234" read as in kGroups.
enum class Commas { kGroups, kSeparators, kDecimal };

struct Literal {
  mpq_class value;  // without the power of ten
  int64_t power_of_ten = 0;
  int decimals = 0;        // digits behind the point
  size_t end = 0;          // behind the literal
  bool ambiguous = false;  // another reading of the commas would give something else
};

// The literal that begins at text[at], which is a digit, or a point before a digit. Groups of three may be set apart
// by ',', "{,}", "\,", "\!", a thin space or a space; "1.234.567" and "1.234,5" are continental, since nothing else
// fits. "0.333..." and "0.(3)" and "0.\overline{3}" repeat. "1.5e-3" has an exponent. Nothing when it is longer than
// budget.h allows.
std::optional<Literal> read_literal(std::string_view text, size_t at, Commas commas);
bool literal_at(std::string_view text, size_t at);

// 10^n, n >= 0 and within the budget of bits.
mpz_class power_of_ten(unsigned n);

}  // namespace cohort::math
