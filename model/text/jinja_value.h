// Values of the template interpreter: Python's, as far as chat templates see them. Immutable but
// for namespaces.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace cohort::jinja {

class Value;
struct LoopState;
struct Callable;

struct Undefined {
  std::string name;  // what was looked up, for messages
};
struct None {};
// What Python makes apart: a tuple and a range never equal a list; keys(), values() and items() are
// views; most filters give an iterator, which is true even when it is empty, has no length and runs
// once.
enum class ListKind { list, tuple, range, view, iterator };
struct List {
  std::vector<Value> items;
  int depth;  // 1 + the deepest item's
  ListKind kind;
  mutable bool used = false;  // an iterator that has run
};
struct Dict {
  std::vector<std::pair<std::string, Value>>
      items;  // in order of insertion; few, so searched one by one
  int depth;
  const Value* find(std::string_view key) const;
};
struct Namespace;

constexpr int kMaxValueDepth = 64;

class Value {
 public:
  using Text = std::shared_ptr<const std::string>;
  using Data =
      std::variant<Undefined, None, bool, int64_t, double, Text, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, const LoopState*,
                   std::shared_ptr<const Callable>>;

  Value() : data_(None{}) {}
  explicit Value(Data data) : data_(std::move(data)) {}
  static Value undefined(std::string name) { return Value(Data(Undefined{std::move(name)})); }
  static Value boolean(bool b) { return Value(Data(b)); }
  static Value integer(int64_t n) { return Value(Data(n)); }
  static Value real(double x) { return Value(Data(x)); }
  static Value text(std::string s) {
    return Value(Data(std::make_shared<const std::string>(std::move(s))));
  }
  // Throw std::length_error beyond kMaxValueDepth, std::invalid_argument for a namespace, a macro or
  // `loop` inside.
  static Value list(std::vector<Value> items, ListKind kind = ListKind::list);
  static Value dict(std::vector<std::pair<std::string, Value>> items);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const int64_t* as_integer() const { return std::get_if<int64_t>(&data_); }
  const double* as_real() const { return std::get_if<double>(&data_); }
  const std::string* as_text() const { return pointee<Text>(); }
  const List* as_list() const { return pointee<std::shared_ptr<const List>>(); }
  const Dict* as_dict() const { return pointee<std::shared_ptr<const Dict>>(); }
  Namespace* as_namespace() const { return pointee<std::shared_ptr<Namespace>>(); }
  const Callable* as_callable() const { return pointee<std::shared_ptr<const Callable>>(); }
  const LoopState* as_loop() const {
    const auto* loop = std::get_if<const LoopState*>(&data_);
    return loop ? *loop : nullptr;
  }
  const std::string& undefined_name() const { return std::get<Undefined>(data_).name; }

  bool truthy() const;                 // as Python's bool()
  std::string_view type_name() const;  // as Python names it
  int depth() const;                   // 0 for scalars

 private:
  template <typename Pointer>
  auto pointee() const -> decltype(std::declval<Pointer>().get()) {
    const Pointer* pointer = std::get_if<Pointer>(&data_);
    return pointer ? pointer->get() : nullptr;
  }
  Data data_;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> items;
  Value* find(std::string_view key);
};

// A function: a builtin one, or a macro with the scope in which it stands.
struct Statement;
struct Scope;
struct Callable {
  std::string name;
  const Statement* macro = nullptr;
  Scope* scope = nullptr;
};

// What `loop` stands for inside {% for %}.
struct LoopState {
  const std::vector<Value>* items;
  size_t index;
};

}  // namespace cohort::jinja
