// The parser's class, shared by parser.cpp (answers, relations, sums), parser_factor.cpp (terms and what they are made
// of) and parser_group.cpp (brackets, matrices, functions).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "reward/math/budget.h"
#include "reward/math/expr.h"
#include "reward/math/token.h"

namespace cohort::math {

class Parser {
 public:
  explicit Parser(const Tokens& tokens) : tokens_(tokens.list), latex_(tokens.latex) {}
  Expr answer();
  const std::string& error() const { return error_; }

 private:
  // After an error every function returns at once, with a tree that nobody looks at.
  Expr fail(std::string message);
  bool failed() const { return !error_.empty(); }

  const Token& peek(size_t ahead = 0) const;
  bool is(Tok kind, size_t ahead = 0) const { return peek(ahead).kind == kind; }
  bool is(Tok kind, std::string_view name) const { return peek().kind == kind && peek().name == name; }
  bool take(Tok kind);

  // Each level of nesting holds one of these.
  class Depth {
   public:
    explicit Depth(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kMaxDepth) parser_.fail("it is nested too deeply");
    }
    ~Depth() { --parser_.depth_; }

   private:
    Parser& parser_;
  };

  // parser.cpp
  std::vector<Expr> items();
  Expr item();
  bool at_item_end() const;
  Expr words_first();
  Expr side();
  Expr measures();
  Expr with_unit(Expr value);
  std::string unit_words();
  bool unit_fraction_follows() const;
  Expr sum();

  // parser_factor.cpp
  Expr term();
  bool factor_follows(const Expr& before) const;
  bool symbol_is_unit(const Expr& before) const;
  bool mixed_fraction_follows(const Expr& before) const;
  Expr plain_fraction();
  Expr factor();
  Expr postfix(Expr base);
  Expr exponent();
  Expr degrees(Expr value);
  Expr based(Expr digits);
  Expr primary();
  Expr literal();
  Expr word_letters(const std::string& word);

  // parser_group.cpp
  Expr group();     // {...}
  Expr argument();  // of a command: a group or a single part
  Expr brackets();
  Expr set();
  Expr plain_braces();
  Expr bars();
  Expr matrix();
  Expr function();
  Expr function_value(const std::string& name, std::vector<Expr> args);
  std::vector<Expr> function_arguments();
  Expr root();
  Expr fraction();
  Expr binomial();
  Expr decoration();
  Expr named_set(const std::string& name);

  const std::vector<Token>& tokens_;
  bool latex_;
  size_t at_ = 0;
  int depth_ = 0;
  int bars_ = 0;           // open |...|
  bool in_set_ = false;  // a ':' begins conditions
  int angles_ = 0;         // open <...>
  std::string separator_;  // "or" or "and" when the last list had one
  std::string error_;
};

// a * b^-1 and a * b, as a number where both are.
Expr quotient(Expr a, Expr b);
Expr product(Expr a, Expr b);

}  // namespace cohort::math
