// The evaluator: expressions to values, statements to output.
#include "model/text/jinja_eval.h"

#include "model/text/jinja_builtins.h"
#include "model/text/jinja_meter.h"
#include "model/text/jinja_operators.h"

namespace cohort::jinja {
namespace {

class Evaluator {
 public:
  Evaluator(const Variables& variables, std::string_view where)
      : meter_(where), scopes_{variables} {}

  void run(const Block& block, std::string& out) {
    for (const Statement& statement : block) {
      step(statement.line);
      run(statement, out);
    }
  }

 private:
  using Kind = Expr::Kind;

  void step(int line) {
    meter_.line = line;
    meter_.charge();
  }

  void print(std::string_view text, std::string& out) {
    meter_.check_size(out.size() + text.size());
    meter_.charge(text.size());
    out += text;
  }

  void run(const Statement& statement, std::string& out) {
    switch (statement.kind) {
      case Statement::Kind::kText:
        return print(statement.text, out);
      case Statement::Kind::kOutput:
        return print(to_text(evaluate(*statement.expr), meter_), out);
      case Statement::Kind::kGroup:
        return run(statement.branches[0].body, out);
      case Statement::Kind::kIf:
        for (const Branch& branch : statement.branches)
          if (!branch.condition || evaluate(*branch.condition).truthy())
            return run(branch.body, out);
        return;
      case Statement::Kind::kFor:
        return run_loop(statement, out);
      case Statement::Kind::kSet:
        return assign(statement, evaluate(*statement.expr));
      case Statement::Kind::kSetBlock: {
        std::string text;
        run(statement.branches[0].body, text);
        return assign(statement, meter_.text(std::move(text)));
      }
    }
  }

  void assign(const Statement& statement, Value value) {
    const std::string& name = statement.names[0];
    if (statement.names.size() == 1) return set(name, std::move(value));
    Namespace* space = lookup(name).as_namespace();
    if (!space) meter_.error("'{}' is not a namespace: its attributes cannot be set", name);
    meter_.list({value});  // refuses what must not be inside another value
    if (Value* known = space->find(statement.names[1])) {
      *known = std::move(value);
    } else {
      space->items.emplace_back(statement.names[1], std::move(value));
    }
  }

  // Names set inside a loop's body are gone after the iteration, as in Jinja.
  void run_loop(const Statement& statement, std::string& out) {
    std::vector<Value> items = iterate(evaluate(*statement.expr), meter_);
    if (statement.filter) {
      std::vector<Value> kept;
      for (Value& item : items) {
        scopes_.emplace_back();
        bind(statement, item);
        if (evaluate(*statement.filter).truthy()) kept.push_back(std::move(item));
        scopes_.pop_back();
      }
      items = std::move(kept);
    }
    if (items.empty() && statement.branches.size() > 1) return run(statement.branches[1].body, out);
    LoopState loop{&items, 0};
    for (; loop.index < items.size(); ++loop.index) {
      step(statement.line);
      scopes_.emplace_back();
      bind(statement, items[loop.index]);
      set("loop", Value(Value::Data(&loop)));
      run(statement.branches[0].body, out);
      scopes_.pop_back();
    }
  }

  void bind(const Statement& loop, const Value& item) {
    if (loop.names.size() == 1) return set(loop.names[0], item);
    const List* parts = item.as_list();
    if (!parts || parts->items.size() != loop.names.size())
      meter_.error("cannot unpack {} into {} names", item.type_name(), loop.names.size());
    for (size_t i = 0; i < loop.names.size(); ++i) set(loop.names[i], parts->items[i]);
  }

  void set(const std::string& name, Value value) {
    for (auto& [known, old] : scopes_.back()) {
      if (known != name) continue;
      old = std::move(value);
      return;
    }
    meter_.charge(scopes_.back().size() * 64);
    scopes_.back().emplace_back(name, std::move(value));
  }

  Value lookup(const std::string& name) {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      meter_.charge(scope->size());
      for (const auto& [known, value] : *scope)
        if (known == name) return value;
    }
    return Value::undefined(name);
  }

  Value evaluate_or_none(const ExprPtr& expr) { return expr ? evaluate(*expr) : Value(); }

  Value evaluate(const Expr& expr) {
    step(expr.line);
    const auto part = [&](size_t i) { return evaluate(*expr.parts[i]); };
    switch (expr.kind) {
      case Kind::kConstant:
        return expr.value;
      case Kind::kName:
        return lookup(expr.text);
      case Kind::kList:
        return make_list(expr);
      case Kind::kDict:
        return make_dict(expr);
      case Kind::kAttribute:
        return attribute(part(0), expr.text, meter_);
      case Kind::kSubscript:
        return subscript(part(0), part(1), meter_);
      case Kind::kSlice:
        return slice(part(0), evaluate_or_none(expr.parts[1]), evaluate_or_none(expr.parts[2]),
                     evaluate_or_none(expr.parts[3]), meter_);
      case Kind::kCall:
      case Kind::kMethod:
      case Kind::kFilter:
      case Kind::kTest:
        return call(expr);
      case Kind::kNot:
        return Value::boolean(!part(0).truthy());
      case Kind::kNegate:
        return arithmetic(Value::integer(0), "-", part(0), meter_);
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
        return comparison(expr);
    }
    meter_.error("an expression of an unknown kind");
  }

  Value make_list(const Expr& expr) {
    std::vector<Value> items;
    for (const ExprPtr& part : expr.parts) items.push_back(evaluate(*part));
    return meter_.list(std::move(items));
  }

  Value make_dict(const Expr& expr) {
    std::vector<std::pair<std::string, Value>> items;
    for (size_t i = 0; i < expr.parts.size(); i += 2) {
      const Value key = evaluate(*expr.parts[i]);
      if (!key.as_text()) meter_.error("a dict's key must be a text, not {}", key.type_name());
      meter_.charge(items.size() * 64);
      for (const auto& item : items)
        if (item.first == *key.as_text())
          meter_.error("the key '{}' stands twice in a dict", item.first);
      items.emplace_back(*key.as_text(), evaluate(*expr.parts[i + 1]));
    }
    return meter_.dict(std::move(items));
  }

  Value call(const Expr& expr) {
    Value self = expr.parts.empty() ? Value() : evaluate(*expr.parts[0]);
    std::vector<Value> arguments;
    for (const ExprPtr& argument : expr.arguments) arguments.push_back(evaluate(*argument));
    meter_.line = expr.line;
    const Call call{expr.text, std::move(self), std::move(arguments), expr.names, meter_};
    if (expr.kind == Kind::kFilter) return call_filter(call);
    if (expr.kind == Kind::kTest) return Value::boolean(call_test(call));
    if (expr.kind == Kind::kMethod) return call_method(call);
    return call_function(call);
  }

  Value comparison(const Expr& expr) {
    Value left = evaluate(*expr.parts[0]);
    for (size_t i = 0; i < expr.names.size(); ++i) {
      Value right = evaluate(*expr.parts[i + 1]);
      if (!compare(left, expr.names[i], right, meter_)) return Value::boolean(false);
      left = std::move(right);
    }
    return Value::boolean(true);
  }

  Meter meter_;
  std::vector<Variables> scopes_;
};

}  // namespace

std::string run_template(const Block& block, const Variables& variables, std::string_view where) {
  std::string out;
  Evaluator(variables, where).run(block, out);
  return out;
}

}  // namespace cohort::jinja
