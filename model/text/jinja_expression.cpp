// Recursive descent over expressions, with the precedence of Jinja 3.1:
//   or < and < not < comparisons < + - < ~ < * / // % < unary - < postfix . [] () < | filter, is test
#include <algorithm>

#include "model/text/jinja_builtins.h"
#include "model/text/jinja_parser.h"

namespace cohort::jinja {
namespace {

using Kind = Expr::Kind;

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  ExprPtr either() {
    ExprPtr left = both();
    while (tokens_.accept_name("or")) left = binary(Kind::kOr, "", std::move(left), both());
    return left;
  }
  ExprPtr conditional() {
    const Nesting nesting(*this);
    ExprPtr value = either();
    while (tokens_.is_name("if")) {
      ExprPtr expr = make(Kind::kConditional);
      tokens_.next();
      adopt(*expr, std::move(value));
      adopt(*expr, either());
      adopt(*expr, tokens_.accept_name("else") ? conditional() : nullptr);
      value = std::move(expr);
    }
    return value;
  }
  // a, b   a,   or one expression alone
  ExprPtr tuple() {
    ExprPtr first = conditional();
    if (!tokens_.is_operator(",")) return first;
    ExprPtr expr = make(Kind::kTuple);
    adopt(*expr, std::move(first));
    while (tokens_.accept_operator(",")) {
      if (tokens_.is_operator(")") || tokens_.is(Token::Kind::kBlockEnd)) break;
      adopt(*expr, conditional());
    }
    return expr;
  }

 private:
  // Counts the levels of recursion; the tree's depth is counted by adopt().
  struct Nesting {
    explicit Nesting(ExpressionParser& parser) : parser(parser) {
      if (++parser.nesting_ > kMaxExprDepth) parser.too_deep();
    }
    ~Nesting() { --parser.nesting_; }
    ExpressionParser& parser;
  };

  [[noreturn]] void too_deep() const {
    tokens_.error(fmt::format("an expression is nested deeper than {} levels", kMaxExprDepth));
  }
  ExprPtr make(Kind kind, std::string text = "") const {
    auto expr = std::make_unique<Expr>();
    expr->kind = kind;
    expr->line = tokens_.peek().line;
    expr->text = std::move(text);
    return expr;
  }
  void deepen(Expr& parent, const ExprPtr& child) const {
    if (child) parent.depth = std::max(parent.depth, child->depth + 1);
    if (parent.depth > kMaxExprDepth) too_deep();
  }
  void adopt(Expr& parent, ExprPtr child) const {
    deepen(parent, child);
    parent.parts.push_back(std::move(child));
  }
  ExprPtr binary(Kind kind, std::string text, ExprPtr left, ExprPtr right) const {
    // Jinja would escape what is added to a safe text; '~' does not.
    for (const ExprPtr& side : {std::cref(left), std::cref(right)})
      if (text == "+" && side->kind == Kind::kFilter && side->text == "safe")
        tokens_.error("'+' with the filter 'safe' is not supported; use '~'");
    ExprPtr expr = make(kind, std::move(text));
    adopt(*expr, std::move(left));
    adopt(*expr, std::move(right));
    return expr;
  }

  ExprPtr both() {
    ExprPtr left = negation();
    while (tokens_.accept_name("and")) left = binary(Kind::kAnd, "", std::move(left), negation());
    return left;
  }
  ExprPtr negation() {
    if (!tokens_.is_name("not")) return comparison();
    const Nesting nesting(*this);
    ExprPtr expr = make(Kind::kNot);
    tokens_.next();
    adopt(*expr, negation());
    return expr;
  }

  std::string accept_comparison() {
    for (std::string_view op : {"==", "!=", "<=", ">=", "<", ">"})
      if (tokens_.accept_operator(op)) return std::string(op);
    if (tokens_.accept_name("in")) return "in";
    if (tokens_.is_name("not") && tokens_.peek(1).kind == Token::Kind::kName &&
        tokens_.peek(1).text == "in") {
      tokens_.next();
      tokens_.next();
      return "not in";
    }
    return "";
  }
  ExprPtr comparison() {
    ExprPtr first = sum();
    std::string op = accept_comparison();
    if (op.empty()) return first;
    ExprPtr expr = make(Kind::kCompare);
    adopt(*expr, std::move(first));
    for (; !op.empty(); op = accept_comparison()) {
      expr->names.push_back(op);
      adopt(*expr, sum());
    }
    return expr;
  }
  template <typename Next>
  ExprPtr left_associative(std::initializer_list<std::string_view> operators, Next next) {
    ExprPtr left = next();
    for (;;) {
      const auto op = std::find_if(operators.begin(), operators.end(),
                                   [&](auto text) { return tokens_.is_operator(text); });
      if (op == operators.end()) return left;
      tokens_.next();
      left = binary(Kind::kBinary, std::string(*op), std::move(left), next());
    }
  }
  ExprPtr sum() {
    return left_associative({"+", "-"}, [&] { return concatenation(); });
  }
  ExprPtr concatenation() {
    return left_associative({"~"}, [&] { return product(); });
  }
  ExprPtr product() {
    ExprPtr left = left_associative({"*", "//", "/", "%"}, [&] { return unary(true); });
    if (tokens_.is_operator("**")) tokens_.error("the operator '**' is not supported");
    return left;
  }
  ExprPtr unary(bool with_filters) {
    const Nesting nesting(*this);
    ExprPtr expr;
    if (tokens_.is_operator("-")) {
      expr = make(Kind::kNegate);
      tokens_.next();
      adopt(*expr, unary(false));
    } else if (tokens_.is_operator("+")) {
      tokens_.error("the sign '+' is not supported");
    } else {
      expr = postfix(primary());
    }
    return with_filters ? filters(std::move(expr)) : std::move(expr);
  }

  ExprPtr primary() {
    const Token::Kind kind = tokens_.peek().kind;
    if (kind == Token::Kind::kString) {
      ExprPtr expr = make(Kind::kConstant);
      std::string text = tokens_.next().text;
      while (tokens_.is(Token::Kind::kString)) text += tokens_.next().text;
      expr->value = Value::text(std::move(text));
      return expr;
    }
    if (kind == Token::Kind::kReal) {
      ExprPtr expr = make(Kind::kConstant);
      expr->value = Value::real(tokens_.next().real);
      return expr;
    }
    if (kind == Token::Kind::kInteger) {
      ExprPtr expr = make(Kind::kConstant);
      expr->value = Value::integer(tokens_.next().integer);
      return expr;
    }
    if (kind == Token::Kind::kName) return name();
    if (tokens_.is_operator("(")) return parenthesis();
    if (tokens_.is_operator("[")) return list();
    if (tokens_.is_operator("{")) return dict();
    tokens_.error_found("expected a value");
  }
  ExprPtr name() {
    ExprPtr expr = make(Kind::kName);
    expr->text = tokens_.next().text;
    const std::string& text = expr->text;
    const auto constant = [&](Value value) {
      expr->kind = Kind::kConstant;
      expr->value = std::move(value);
    };
    if (text == "true" || text == "True") constant(Value::boolean(true));
    if (text == "false" || text == "False") constant(Value::boolean(false));
    if (text == "none" || text == "None") constant(Value());
    for (std::string_view word : {"if", "else", "and", "or", "not", "in", "is"})
      if (text == word) tokens_.error(fmt::format("expected a value, found '{}'", word));
    return expr;
  }
  ExprPtr parenthesis() {
    tokens_.expect_operator("(");
    ExprPtr expr = tokens_.is_operator(")") ? make(Kind::kTuple) : tuple();
    tokens_.expect_operator(")");
    return expr;
  }
  ExprPtr list() {
    ExprPtr expr = make(Kind::kList);
    tokens_.expect_operator("[");
    while (!tokens_.is_operator("]")) {
      adopt(*expr, conditional());
      if (!tokens_.accept_operator(",")) break;
    }
    tokens_.expect_operator("]");
    return expr;
  }
  ExprPtr dict() {
    ExprPtr expr = make(Kind::kDict);
    tokens_.expect_operator("{");
    while (!tokens_.is_operator("}")) {
      adopt(*expr, conditional());
      tokens_.expect_operator(":");
      adopt(*expr, conditional());
      if (!tokens_.accept_operator(",")) break;
    }
    tokens_.expect_operator("}");
    return expr;
  }

  ExprPtr postfix(ExprPtr value) {
    for (;;) {
      if (tokens_.accept_operator(".")) {
        value = attribute(std::move(value));
      } else if (tokens_.is_operator("[")) {
        value = subscript(std::move(value));
      } else if (tokens_.is_operator("(")) {
        if (value->kind != Kind::kName) tokens_.error("only functions and methods can be called");
        ExprPtr call = make(Kind::kCall, value->text);
        arguments(*call);
        value = std::move(call);
      } else {
        return value;
      }
    }
  }
  ExprPtr attribute(ExprPtr value) {
    ExprPtr expr = make(Kind::kAttribute);
    expr->text = tokens_.expect_name("an attribute's name");
    if (expr->text.starts_with("__") && !tokens_.is_operator("("))
      tokens_.error(fmt::format("the attribute '{}' is not supported", expr->text));
    adopt(*expr, std::move(value));
    if (tokens_.is_operator("(")) {
      expr->kind = Kind::kMethod;
      if (!is_method(expr->text))
        tokens_.error(fmt::format("the method '{}' is not supported; supported are {}", expr->text,
                                  method_names()));
      arguments(*expr);
    }
    return expr;
  }
  ExprPtr subscript(ExprPtr value) {
    ExprPtr expr = make(Kind::kSubscript);
    adopt(*expr, std::move(value));
    tokens_.expect_operator("[");
    const auto bound = [&]() -> ExprPtr {
      return tokens_.is_operator(":") || tokens_.is_operator("]") ? nullptr : conditional();
    };
    adopt(*expr, bound());
    while (tokens_.accept_operator(":")) {
      expr->kind = Kind::kSlice;
      adopt(*expr, bound());
    }
    if (expr->kind == Kind::kSlice && expr->parts.size() < 4) expr->parts.resize(4);
    if (expr->parts.size() > 4 || (expr->kind == Kind::kSubscript && !expr->parts[1]))
      tokens_.error("expected [index] or [start:stop:step]");
    if (tokens_.is_operator(",")) tokens_.error("subscripts with ',' are not supported");
    tokens_.expect_operator("]");
    return expr;
  }
  void arguments(Expr& call) {
    tokens_.expect_operator("(");
    while (!tokens_.is_operator(")")) {
      if (tokens_.is_operator("*") || tokens_.is_operator("**"))
        tokens_.error("arguments with '*' are not supported");
      std::string name;
      if (tokens_.peek(1).kind == Token::Kind::kOperator && tokens_.peek(1).text == "=") {
        name = tokens_.expect_name("an argument's name");
        tokens_.expect_operator("=");
      }
      if (name.empty() && !call.names.empty() && !call.names.back().empty())
        tokens_.error("a positional argument after a named one");
      argument(call, std::move(name), conditional());
      if (!tokens_.accept_operator(",")) break;
    }
    tokens_.expect_operator(")");
  }
  void argument(Expr& call, std::string name, ExprPtr value) const {
    deepen(call, value);
    call.names.push_back(std::move(name));
    call.arguments.push_back(std::move(value));
  }

  ExprPtr filters(ExprPtr value) {
    for (;;) {
      if (tokens_.accept_operator("|")) {
        ExprPtr expr = make(Kind::kFilter);
        expr->text = tokens_.expect_name("a filter's name");
        if (!is_filter(expr->text))
          tokens_.error(fmt::format("the filter '{}' is not supported; supported are {}",
                                    expr->text, filter_names()));
        adopt(*expr, std::move(value));
        if (tokens_.is_operator("(")) arguments(*expr);
        value = std::move(expr);
      } else if (tokens_.is_name("is")) {
        value = test(std::move(value));
      } else {
        return value;
      }
    }
  }
  ExprPtr test(ExprPtr value) {
    tokens_.next();
    const bool negated = tokens_.accept_name("not");
    ExprPtr expr = make(Kind::kTest);
    expr->text = tokens_.expect_name("a test's name");
    if (!is_test(expr->text))
      tokens_.error(fmt::format("the test '{}' is not supported; supported are {}", expr->text,
                                test_names()));
    adopt(*expr, std::move(value));
    if (tokens_.is_operator("(")) {
      arguments(*expr);
    } else if (starts_bare_argument()) {
      argument(*expr, "", postfix(primary()));
    }
    if (!negated) return expr;
    ExprPtr not_expr = make(Kind::kNot);
    adopt(*not_expr, std::move(expr));
    return not_expr;
  }
  // `x is equalto y`: an argument without parentheses.
  bool starts_bare_argument() const {
    for (const Token::Kind kind : {Token::Kind::kString, Token::Kind::kInteger, Token::Kind::kReal})
      if (tokens_.is(kind)) return true;
    if (tokens_.is_operator("[") || tokens_.is_operator("{")) return true;
    if (!tokens_.is(Token::Kind::kName)) return false;
    constexpr std::string_view kWords[] = {"else", "or", "and", "is", "if", "in", "not"};
    return std::find(std::begin(kWords), std::end(kWords), tokens_.peek().text) == std::end(kWords);
  }

  TokenStream& tokens_;
  int nesting_ = 0;
};

}  // namespace

ExprPtr parse_expression(TokenStream& tokens) { return ExpressionParser(tokens).conditional(); }
ExprPtr parse_expressions(TokenStream& tokens) { return ExpressionParser(tokens).tuple(); }
ExprPtr parse_loop_source(TokenStream& tokens) { return ExpressionParser(tokens).either(); }

}  // namespace cohort::jinja
