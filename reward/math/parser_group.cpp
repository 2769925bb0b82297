// Brackets, sets, matrices, functions, fractions.
#include <string_view>

#include "reward/math/parser_impl.h"

namespace cohort::math {
namespace {

bool is_arc(std::string_view name) { return name.starts_with("arc"); }

bool is_trigonometric(std::string_view name) {
  return name == "sin" || name == "cos" || name == "tan" || name == "cot" || name == "sec" || name == "csc" ||
         name == "sinh" || name == "cosh" || name == "tanh";
}

}  // namespace

Expr Parser::group() {
  const Depth depth(*this);
  if (failed()) return {};
  ++at_;
  const int bars = std::exchange(bars_, 0);
  Expr inner = item();
  if (!failed() && is(Tok::kComma)) {  // \boxed{{1, 2}}: a set with its backslashes forgotten
    std::vector<Expr> elements;
    elements.push_back(std::move(inner));
    ++at_;
    for (Expr& element : items()) elements.push_back(std::move(element));
    inner = node(Kind::kSet, std::move(elements));
  }
  bars_ = bars;
  if (!failed() && !take(Tok::kGroupClose)) return fail("a '{' has no '}'");
  inner.literal = false;
  return inner;
}

Expr Parser::argument() { return is(Tok::kGroupOpen) ? group() : primary(); }

// (...), [...], <...>, floor, ceiling. One value in round or square brackets is that value.
Expr Parser::brackets() {
  const Depth depth(*this);
  if (failed()) return {};
  const bool angle = is(Tok::kRelation);
  const std::string open = tokens_[at_++].name;
  const int bars = std::exchange(bars_, 0);
  const int angles = std::exchange(angles_, angle ? 1 : 0);
  const bool in_set = std::exchange(in_set_, false);
  std::vector<Expr> list = items();
  bars_ = bars;
  in_set_ = in_set;
  angles_ = angles;
  if (failed()) return {};
  if (!(angle ? is(Tok::kRelation, ">") : is(Tok::kClose))) return fail("a bracket is not closed");
  const std::string close = tokens_[at_++].name;
  if (open == "f" || open == "c") {
    if (close != open || list.size() != 1) return fail("brackets that do not fit together");
    return node(Kind::kFunction, std::move(list), open == "f" ? "floor" : "ceil");
  }
  const bool round = (open == "(" || open == "[") && (close == ")" || close == "]");
  if (!round && !(open == "<" && close == ">")) return fail("brackets that do not fit together");
  if (list.empty()) return fail("empty brackets");
  if (list.size() == 1 && open == "(" && close == ")") {
    list[0].literal = false;
    return std::move(list[0]);
  }
  if (list.size() == 1 && open == "[" && close == "]" && !list[0].is(Kind::kTuple)) {
    list[0].literal = false;
    return std::move(list[0]);
  }
  return node(Kind::kTuple, std::move(list), open + close);
}

// \{...\}, also with conditions: \{x | x > 0\}.
Expr Parser::set() {
  const Depth depth(*this);
  if (failed()) return {};
  ++at_;
  const int bars = std::exchange(bars_, 1);
  const bool in_set = std::exchange(in_set_, true);
  std::vector<Expr> list = items();
  bars_ = bars;
  in_set_ = in_set;
  if (failed()) return {};
  if (list.size() == 1 && (is(Tok::kBar) || is(Tok::kColon))) {
    ++at_;
    std::vector<Expr> conditions = items();
    for (Expr& condition : conditions) list.push_back(std::move(condition));
    if (!failed() && !(is(Tok::kClose, "}") || is(Tok::kGroupClose))) return fail("a '{' has no '}'");
    ++at_;
    return node(Kind::kSetBuilder, std::move(list));
  }
  if (!(is(Tok::kClose, "}") || is(Tok::kGroupClose))) return fail("a '{' has no '}'");
  ++at_;
  return node(Kind::kSet, std::move(list));
}

// Braces in plain text are a set.
Expr Parser::plain_braces() { return set(); }

Expr Parser::bars() {
  const Depth depth(*this);
  if (failed()) return {};
  ++at_;
  ++bars_;
  std::vector<Expr> args;
  args.push_back(sum());
  --bars_;
  if (!failed() && !take(Tok::kBar)) return fail("a '|' is not closed");
  return node(Kind::kFunction, std::move(args), "abs");
}

Expr Parser::matrix() {
  const Depth depth(*this);
  if (failed()) return {};
  const std::string name = tokens_[at_++].name;
  std::vector<Expr> rows;
  std::vector<Expr> row;
  while (!failed() && !is(Tok::kEndEnvironment)) {
    if (is(Tok::kEnd)) return fail("\\begin has no \\end");
    if (take(Tok::kAmpersand)) continue;
    if (take(Tok::kRow)) {
      if (!row.empty()) rows.push_back(node(Kind::kTuple, std::exchange(row, {}), "()"));
      continue;
    }
    const size_t before = at_;
    row.push_back(item());
    while (take(Tok::kComma)) {
    }
    if (!failed() && at_ == before) return fail("something does not fit into the matrix");
  }
  if (failed()) return {};
  if (peek().name != name) return fail("\\begin and \\end differ");
  ++at_;
  if (!row.empty()) rows.push_back(node(Kind::kTuple, std::move(row), "()"));
  if (rows.empty()) return fail("an empty matrix");
  const bool lines = name == "cases" || name.starts_with("align") || name.starts_with("gather");
  if (!lines)
    for (const Expr& r : rows)
      if (r.args.size() != rows[0].args.size()) return fail("rows of different lengths");
  return node(Kind::kMatrix, std::move(rows), lines ? "lines" : name == "vmatrix" ? "det" : "");
}

std::vector<Expr> Parser::function_arguments() {
  std::vector<Expr> args;
  if (is(Tok::kOpen, "(") || is(Tok::kOpen, "[")) {
    Expr inner = brackets();
    if (!inner.is(Kind::kTuple)) {
      args.push_back(std::move(inner));
      return args;
    }
    return std::move(inner.args);
  }
  if (is(Tok::kGroupOpen)) {
    args.push_back(group());
    return args;
  }
  if (is(Tok::kOpen, "{")) {  // \exp\{2\}: braces as brackets
    Expr inner = set();
    if (!failed() && (!inner.is(Kind::kSet) || inner.args.size() != 1)) fail("braces that hold no argument");
    return std::move(inner.args);
  }
  // Without brackets: the product that follows, up to the next function. "\sin 2x \cos x" has two factors.
  Expr value = is(Tok::kMinus) ? (++at_, negated(factor())) : factor();
  while (!failed() && !is(Tok::kFunction) && !is(Tok::kOpen) && factor_follows(value))
    value = product(std::move(value), factor());
  while (!failed() && is(Tok::kDivide) && (is(Tok::kNumber, 1) || is(Tok::kConstant, 1))) {
    // "sin pi/6"; "sin x / x" is a quotient of two things.
    if (!value.is(Kind::kNumber) && !value.is(Kind::kConstant) && has_symbols(value)) break;
    if (is(Tok::kConstant, 1)) break;
    ++at_;
    value = quotient(std::move(value), factor());
  }
  args.push_back(std::move(value));
  return args;
}

Expr Parser::function() {
  const Depth depth(*this);
  if (failed()) return {};
  std::string name = tokens_[at_].name;
  if (name == "sqrt" || name == "cbrt") return root();
  ++at_;
  std::vector<Expr> base;
  if (name == "log" || name == "lg") {
    if (take(Tok::kSubscript))
      base.push_back(argument());
    else if (is(Tok::kNumber) && !peek().space_before && is(Tok::kOpen, 1))
      base.push_back(primary());  // log2(8)
  }
  Expr power;
  bool has_power = false;
  if (take(Tok::kPower)) {
    has_power = true;
    power = exponent();
    if (power.is_integer() && power.value == -1 && is_trigonometric(name)) {
      name = "arc" + name;
      has_power = false;
    }
  }
  if (name == "log" && base.empty() && take(Tok::kSubscript)) base.push_back(argument());
  std::vector<Expr> args = function_arguments();
  if (failed()) return {};
  if (args.empty()) return fail("a function without an argument");
  if (name == "lg") {
    name = "log";
    if (base.empty()) base.push_back(number(10));
  }
  for (Expr& b : base) args.push_back(std::move(b));
  Expr value = function_value(name, std::move(args));
  if (!has_power) return value;
  std::vector<Expr> parts;
  parts.push_back(std::move(value));
  parts.push_back(std::move(power));
  return node(Kind::kPow, std::move(parts));
}

Expr Parser::function_value(const std::string& name, std::vector<Expr> args) {
  const bool several = name == "max" || name == "min" || name == "gcd" || name == "lcm";
  if (!several && args.size() > (name == "log" ? 2u : 1u)) return fail("a function with too many arguments");
  if (name == "exp") {
    args.insert(args.begin(), node(Kind::kConstant, {}, "e"));
    return node(Kind::kPow, std::move(args));
  }
  if (is_arc(name) && name.ends_with("h")) return node(Kind::kFunction, std::move(args), "ar" + name.substr(3));
  return node(Kind::kFunction, std::move(args), name);
}

Expr Parser::root() {
  int64_t degree = tokens_[at_++].name == "cbrt" ? 3 : 2;
  std::vector<Expr> args(1);
  Expr index = number(mpz_class(static_cast<long>(degree)));
  if (latex_ && is(Tok::kOpen, "[")) {
    ++at_;
    index = item();
    if (!failed() && !take(Tok::kClose)) return fail("a '[' is not closed");
  }
  if (is(Tok::kOpen, "("))
    args[0] = brackets();
  else if (is(Tok::kGroupOpen))
    args[0] = group();
  else
    args[0] = primary();
  args[0].literal = false;
  args.push_back(std::move(index));
  return node(Kind::kRoot, std::move(args));
}

Expr Parser::fraction() {
  const Depth depth(*this);
  if (failed()) return {};
  ++at_;
  Expr top = argument();
  Expr bottom = argument();
  if (failed()) return {};
  return quotient(std::move(top), std::move(bottom));
}

Expr Parser::binomial() {
  const Depth depth(*this);
  if (failed()) return {};
  ++at_;
  std::vector<Expr> args;
  if (is(Tok::kOpen, "(")) {
    args = function_arguments();
  } else {
    args.push_back(argument());
    args.push_back(argument());
  }
  if (failed()) return {};
  if (args.size() != 2) return fail("a binomial coefficient has two arguments");
  return node(Kind::kFunction, std::move(args), "binom");
}

// \vec{v}, \overline{AB}: a name of its own.
Expr Parser::decoration() {
  const std::string name = tokens_[at_++].name;
  Expr inner = argument();
  if (failed()) return {};
  std::vector<Expr> args;
  args.push_back(std::move(inner));
  return symbol(name + ":" + to_text(args[0], 60));
}

Expr Parser::named_set(const std::string& name) {
  if (name == "empty") return node(Kind::kSet, {});
  return symbol("set:" + name);
}

}  // namespace cohort::math
