// The evaluator: expressions to values, statements to output.
#include "model/text/jinja_eval.h"

#include <algorithm>

#include "model/text/jinja_builtins.h"
#include "model/text/jinja_guards.h"
#include "model/text/jinja_meter.h"
#include "model/text/jinja_operators.h"
#include "model/text/jinja_print.h"

namespace cohort::jinja {

// The names of one block; those around it stand in `outer`.
struct Scope {
  Scope* outer;
  Variables names;
};

namespace {

// Levels of expressions, blocks and macros inside each other at run time: what bounds the stack.
constexpr int kMaxDepth = 600;

// How a block ended: {% break %} and {% continue %} end the blocks around them up to the loop.
enum class End { normal, break_loop, continue_loop };

class Evaluator {
 public:
  Evaluator(std::string_view where, const std::tm* now) : meter_(where), now_(now) {}

  std::string render(const Block& block, const Variables& variables) {
    Scope globals{nullptr, variables};
    std::string out;
    run(block, globals, out);
    return out;
  }

 private:
  using Kind = Expr::Kind;

  struct Depth {
    explicit Depth(Evaluator& evaluator) : depth(evaluator.depth_) {
      if (++depth > kMaxDepth) {
        --depth;
        evaluator.meter_.error("macros and expressions are nested deeper than {} levels", kMaxDepth);
      }
    }
    ~Depth() { --depth; }
    int& depth;
  };

  void step(int line) {
    meter_.line = line;
    meter_.charge();
  }

  void print(std::string_view text, std::string& out) {
    meter_.check_size(out.size() + text.size());
    meter_.charge(text.size());
    out += text;
  }

  End run(const Block& block, Scope& scope, std::string& out) {
    const Depth depth(*this);
    for (const Statement& statement : block) {
      step(statement.line);
      if (const End end = run(statement, scope, out); end != End::normal) return end;
    }
    return End::normal;
  }

  End run(const Statement& statement, Scope& scope, std::string& out) {
    switch (statement.kind) {
      case Statement::Kind::kText:
        print(statement.text, out);
        break;
      case Statement::Kind::kOutput:
        print_value(evaluate(*statement.expr, scope), out);
        break;
      case Statement::Kind::kGroup: {
        Scope inner{&scope, {}};
        return run(statement.branches[0].body, inner, out);
      }
      case Statement::Kind::kIf:
        for (const Branch& branch : statement.branches)
          if (!branch.condition || evaluate(*branch.condition, scope).truthy())
            return run(branch.body, scope, out);
        break;
      case Statement::Kind::kFor:
        return run_loop(statement, scope, out);
      case Statement::Kind::kSet:
        bind(statement.names, evaluate(*statement.expr, scope), scope);
        break;
      case Statement::Kind::kSetField:
        set_field(statement, scope);
        break;
      case Statement::Kind::kSetBlock: {
        std::string text;
        Scope inner{&scope, {}};
        const End end = run(statement.branches[0].body, inner, text);
        if (end != End::normal) return end;
        set(statement.names[0], meter_.text(std::move(text)), scope);
        break;
      }
      case Statement::Kind::kMacro: {
        const Callable macro{statement.names[0], &statement, &scope};
        set(statement.names[0], Value(Value::Data(std::make_shared<const Callable>(macro))), scope);
        break;
      }
      case Statement::Kind::kBreak:
        return End::break_loop;
      case Statement::Kind::kContinue:
        return End::continue_loop;
    }
    return End::normal;
  }

  void print_value(const Value& value, std::string& out) {
    if (const std::string* text = value.as_text()) return print(*text, out);
    print(to_text(value, meter_), out);
  }

  void set_field(const Statement& statement, Scope& scope) {
    const std::string &name = statement.names[0], &field = statement.names[1];
    Value value = evaluate(*statement.expr, scope);
    Namespace* space = lookup(name, scope).as_namespace();
    if (!space) meter_.error("'{}' is not a namespace: its attributes cannot be set", name);
    meter_.list({value});  // refuses what must not be inside another value
    meter_.charge(space->items.size() * 8);
    if (Value* known = space->find(field)) {
      *known = std::move(value);
    } else {
      space->items.emplace_back(field, std::move(value));
    }
  }

  // Names set inside a loop's body are gone after the iteration, as in Jinja.
  End run_loop(const Statement& statement, Scope& scope, std::string& out) {
    std::vector<Value> items = iterate(evaluate(*statement.expr, scope), meter_);
    if (statement.filter) {
      std::vector<Value> kept;
      for (Value& item : items) {
        Scope inner{&scope, {}};
        bind(statement.names, item, inner);
        if (evaluate(*statement.filter, inner).truthy()) kept.push_back(std::move(item));
      }
      items = std::move(kept);
    }
    LoopState loop{&items, 0};
    bool complete = false;
    for (; loop.index < items.size(); ++loop.index) {
      step(statement.line);
      Scope inner{&scope, {}};
      bind(statement.names, items[loop.index], inner);
      set("loop", Value(Value::Data(&loop)), inner);
      const End end = run(statement.branches[0].body, inner, out);
      if (end == End::break_loop) break;
      complete = complete || end == End::normal;
    }
    // Jinja's {% else %}: no iteration came to its end, be it for want of items or by a jump.
    if (complete || statement.branches.size() == 1) return End::normal;
    Scope inner{&scope, {}};
    return run(statement.branches[1].body, inner, out);
  }

  // names = value, or names[i] = value[i].
  void bind(const std::vector<std::string>& names, const Value& value, Scope& scope) {
    if (names.size() == 1) return set(names[0], value, scope);
    const std::vector<Value> parts = iterate(value, meter_);
    if (parts.size() != names.size())
      meter_.error("cannot unpack {} of {} items into {} names", value.type_name(), parts.size(),
                   names.size());
    for (size_t i = 0; i < names.size(); ++i) set(names[i], parts[i], scope);
  }

  void set(const std::string& name, Value value, Scope& scope) {
    meter_.charge(scope.names.size() * 8);
    for (auto& [known, old] : scope.names) {
      if (known != name) continue;
      old = std::move(value);
      return;
    }
    scope.names.emplace_back(name, std::move(value));
  }

  Value lookup(const std::string& name, const Scope& scope) {
    for (const Scope* at = &scope; at; at = at->outer) {
      meter_.charge(at->names.size() * 8);
      for (const auto& [known, value] : at->names)
        if (known == name) return value;
    }
    if (is_function(name))
      return Value(Value::Data(std::make_shared<const Callable>(Callable{name})));
    return Value::undefined(name);
  }

  Value evaluate_or_none(const ExprPtr& expr, Scope& scope) {
    return expr ? evaluate(*expr, scope) : Value();
  }

  Value evaluate(const Expr& expr, Scope& scope) {
    const Depth depth(*this);
    step(expr.line);
    const auto part = [&](size_t i) { return evaluate(*expr.parts[i], scope); };
    switch (expr.kind) {
      case Kind::kConstant:
        return expr.value;
      case Kind::kName:
        return lookup(expr.text, scope);
      case Kind::kList:
        return meter_.list(evaluate_all(expr.parts, scope));
      case Kind::kTuple:
        return meter_.list(evaluate_all(expr.parts, scope), ListKind::tuple);
      case Kind::kDict:
        return make_dict(expr, scope);
      case Kind::kAttribute:
        return attribute(part(0), expr.text, meter_);
      case Kind::kSubscript:
        return subscript(part(0), part(1), meter_);
      case Kind::kSlice:
        return slice(part(0), evaluate_or_none(expr.parts[1], scope),
                     evaluate_or_none(expr.parts[2], scope),
                     evaluate_or_none(expr.parts[3], scope), meter_);
      case Kind::kCall:
      case Kind::kMethod:
      case Kind::kFilter:
      case Kind::kTest:
        return call(expr, scope);
      case Kind::kNot:
        return Value::boolean(!part(0).truthy());
      case Kind::kNegate:
        return negate(part(0), meter_);
      case Kind::kAnd: {
        Value left = part(0);
        return left.truthy() ? part(1) : left;
      }
      case Kind::kOr: {
        Value left = part(0);
        return left.truthy() ? left : part(1);
      }
      case Kind::kConditional:
        if (part(1).truthy()) return part(0);
        return expr.parts[2] ? part(2) : Value::undefined("the missing 'else'");
      case Kind::kBinary: {
        const Value left = part(0), right = part(1);
        return arithmetic(left, expr.text, right, meter_);
      }
      case Kind::kCompare:
        return comparison(expr, scope);
    }
    meter_.error("an expression of an unknown kind");
  }

  std::vector<Value> evaluate_all(const std::vector<ExprPtr>& parts, Scope& scope) {
    std::vector<Value> values;
    for (const ExprPtr& part : parts) values.push_back(evaluate(*part, scope));
    return values;
  }

  Value make_dict(const Expr& expr, Scope& scope) {
    std::vector<std::pair<std::string, Value>> items;
    for (size_t i = 0; i < expr.parts.size(); i += 2) {
      const Value key = evaluate(*expr.parts[i], scope);
      if (!key.as_text()) meter_.error("a dict's key must be a text, not {}", key.type_name());
      meter_.charge(items.size() * 8 + key.as_text()->size());
      for (const auto& item : items)
        if (same_text(item.first, *key.as_text()))
          meter_.error("the key '{}' stands twice in a dict", item.first);
      items.emplace_back(*key.as_text(), evaluate(*expr.parts[i + 1], scope));
    }
    return meter_.dict(std::move(items));
  }

  Value call(const Expr& expr, Scope& scope) {
    Value self = expr.parts.empty() ? Value() : evaluate(*expr.parts[0], scope);
    std::vector<Value> arguments = evaluate_all(expr.arguments, scope);
    meter_.line = expr.line;
    // Whatever it does reads its texts at least once.
    if (self.as_text()) meter_.charge(self.as_text()->size());
    for (const Value& argument : arguments)
      if (argument.as_text()) meter_.charge(argument.as_text()->size());
    const Call call{expr.text, std::move(self), std::move(arguments), expr.names, meter_, now_};
    if (expr.kind == Kind::kFilter) return call_filter(call);
    if (expr.kind == Kind::kTest) return Value::boolean(call_test(call));
    if (expr.kind == Kind::kMethod) return call_method(call);
    const Value callee = lookup(expr.text, scope);
    const Callable* function = callee.as_callable();
    if (!function)
      meter_.error("the function '{}' is not supported; supported are {}, and macros", expr.text,
                   function_names());
    return function->macro ? call_macro(*function, call) : call_builtin(*function, call);
  }

  // A builtin may have got another name by {% set %}.
  Value call_builtin(const Callable& function, const Call& call) {
    return call_function(
        {function.name, call.self, call.arguments, call.names, call.meter, call.now});
  }

  // A macro sees the names around its definition, not those around its call.
  Value call_macro(const Callable& function, const Call& call) {
    const Statement& macro = *function.macro;
    Scope inner{function.scope, {}};
    const size_t count = macro.names.size() - 1;
    std::vector<bool> given(count, false);
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      const auto named = std::find(macro.names.begin() + 1, macro.names.end(), call.names[i]);
      const size_t place = call.names[i].empty()
                               ? i
                               : static_cast<size_t>(named - macro.names.begin()) - 1;
      if (place >= count)
        meter_.error("the macro '{}' takes {} arguments, and none named '{}'", function.name, count,
                     call.names[i]);
      if (given[place])
        meter_.error("the macro '{}' has the argument '{}' twice", function.name, call.names[i]);
      given[place] = true;
      set(macro.names[place + 1], call.arguments[i], inner);
    }
    for (size_t i = 0; i < count; ++i) {
      if (given[i]) continue;
      const std::string& name = macro.names[i + 1];
      set(name,
          macro.defaults[i] ? evaluate(*macro.defaults[i], inner) : Value::undefined(name), inner);
    }
    std::string text;
    run(macro.branches[0].body, inner, text);
    return meter_.text(std::move(text));
  }

  Value comparison(const Expr& expr, Scope& scope) {
    Value left = evaluate(*expr.parts[0], scope);
    for (size_t i = 0; i < expr.names.size(); ++i) {
      Value right = evaluate(*expr.parts[i + 1], scope);
      if (!compare(left, expr.names[i], right, meter_)) return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }

  Meter meter_;
  const std::tm* now_;
  int depth_ = 0;
};

}  // namespace

std::string run_template(const Block& block, const Variables& variables, std::string_view where,
                         const std::tm* now) {
  return Evaluator(where, now).render(block, variables);
}

}  // namespace cohort::jinja
