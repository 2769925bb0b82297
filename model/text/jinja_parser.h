// Tokens -> tree. What chat templates do not need is refused by name and line.
#pragma once

#include <algorithm>
#include <string_view>

#include "model/text/jinja_ast.h"
#include "model/text/jinja_lexer.h"

namespace cohort::jinja {

// Bounds the stack of everything that walks the tree.
constexpr int kMaxExprDepth = 128;
constexpr int kMaxBlockDepth = 32;

// The cursor over the tokens that both parsers share.
class TokenStream {
 public:
  TokenStream(std::vector<Token> tokens, std::string_view where)
      : tokens_(std::move(tokens)), where_(where) {}

  const Token& peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token next() { return at_ + 1 < tokens_.size() ? std::move(tokens_[at_++]) : tokens_.back(); }
  bool is(Token::Kind kind, std::string_view text = "") const {
    return peek().kind == kind && (text.empty() || peek().text == text);
  }
  bool is_operator(std::string_view text) const { return is(Token::Kind::kOperator, text); }
  bool is_name(std::string_view text) const { return is(Token::Kind::kName, text); }
  bool accept_operator(std::string_view text) { return is_operator(text) && (next(), true); }
  bool accept_name(std::string_view text) { return is_name(text) && (next(), true); }
  std::string expect_name(std::string_view what);
  void expect_operator(std::string_view text);
  void expect(Token::Kind kind, std::string_view what);
  // "what, found 'x'" at the current token.
  [[noreturn]] void error(const std::string& what) const;
  [[noreturn]] void error_found(const std::string& what) const;

 private:
  std::vector<Token> tokens_;
  std::string_view where_;
  size_t at_ = 0;
};

// conditional := or ['if' or ['else' conditional]], and so on down; see jinja_expression.cpp.
ExprPtr parse_expression(TokenStream& tokens);
// One expression, or several with ',' between them: a tuple.
ExprPtr parse_expressions(TokenStream& tokens);
// The same without the conditional: what stands between 'in' and 'if' of a loop.
ExprPtr parse_loop_source(TokenStream& tokens);

Block parse_template(std::string_view source, std::string_view where);

}  // namespace cohort::jinja
