// Making and asking values.
#include "model/text/jinja_value.h"

#include <algorithm>
#include <stdexcept>

#include "model/text/jinja_guards.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

template <typename Items>
auto* find_in(Items& items, std::string_view key) {
  const auto it =
      std::find_if(items.begin(), items.end(),
                   [&](const auto& item) { return same_text(item.first, key); });
  return it == items.end() ? nullptr : &it->second;
}

// A namespace, macro or `loop` inside a container could outlive its block or hold itself.
int checked_depth(const Value& value, int depth) {
  if (value.as_namespace() || value.as_loop() || value.as_callable())
    throw std::invalid_argument(
        "a namespace or 'loop' inside another value is not supported, nor is a macro");
  depth = std::max(depth, value.depth() + 1);
  if (depth > kMaxValueDepth)
    throw std::length_error("a value is nested deeper than " + std::to_string(kMaxValueDepth) +
                            " levels");
  return depth;
}

}  // namespace

const Value* Dict::find(std::string_view key) const { return find_in(items, key); }
Value* Namespace::find(std::string_view key) { return find_in(items, key); }

Value Value::list(std::vector<Value> items, ListKind kind) {
  int depth = 1;
  for (const Value& item : items) depth = checked_depth(item, depth);
  return Value(Data(std::make_shared<const List>(List{std::move(items), depth, kind})));
}

Value Value::dict(std::vector<std::pair<std::string, Value>> items) {
  int depth = 1;
  for (const auto& [key, item] : items) depth = checked_depth(item, depth);
  return Value(Data(std::make_shared<const Dict>(Dict{std::move(items), depth})));
}

bool Value::truthy() const {
  if (const bool* b = as_bool()) return *b;
  if (const int64_t* n = as_integer()) return *n != 0;
  if (const double* x = as_real()) return *x != 0;
  if (const std::string* s = as_text()) return s->find_first_not_of(kGuard) != s->npos;
  if (const List* list = as_list()) return list->kind == ListKind::iterator || !list->items.empty();
  if (const Dict* dict = as_dict()) return !dict->items.empty();
  return !is_undefined() && !is_none();
}

std::string_view Value::type_name() const {
  constexpr std::string_view kNames[] = {"undefined", "none", "bool",      "int",  "float",   "str",
                                         "list",      "dict", "namespace", "loop", "function"};
  constexpr std::string_view kKinds[] = {"list", "tuple", "range", "dict view", "iterator"};
  if (const List* list = as_list()) return kKinds[static_cast<int>(list->kind)];
  return kNames[data_.index()];
}

int Value::depth() const {
  if (const List* list = as_list()) return list->depth;
  if (const Dict* dict = as_dict()) return dict->depth;
  return 0;
}

}  // namespace cohort::jinja
