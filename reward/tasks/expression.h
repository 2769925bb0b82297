// The value of an arithmetic expression, within budgets: what reasoning-gym asks sympy for, whose parse_expr runs the text
// as Python code.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace cohort::tasks {

// float(parse_expr(text)) for this grammar, with Python's precedence:
//   whole numbers, decimals (1.5, .5, 5., 1e3, 1_000), parentheses, + - * / // % **, & ^ | of whole numbers, n! and n!!,
//   sqrt(x), == and !=
// Whole numbers and fractions are exact. NaN for 0/0; nothing for anything else: another text, a division by zero, a number
// that is not real, more than kMaxExpressionBytes, nesting beyond 64, numbers of more than 2^16 bits.
constexpr size_t kMaxExpressionBytes = 4096;
std::optional<double> evaluate_expression(std::string_view text);

// The whole numbers in the text, re.findall(r"\b\d+\b"): maximal runs of digits with neither letter nor underscore beside
// them, without leading zeros. "2.5" has two. For texts of that grammar, which are ASCII.
std::vector<std::string_view> literal_integers(std::string_view text);

}  // namespace cohort::tasks
