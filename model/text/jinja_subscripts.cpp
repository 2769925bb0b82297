// Attributes, subscripts, slices and iteration.
#include <algorithm>
#include <optional>

#include "model/text/jinja_builtins.h"
#include "model/text/jinja_operators.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

[[noreturn]] void refuse_undefined(const Value& value, const Meter& meter) {
  meter.error("'{}' is undefined", value.undefined_name());
}

// Where a slice starts, stops and steps in `size` items (Python's rules).
struct Range {
  int64_t start, stop, step;
};

Range slice_range(const Value& start, const Value& stop, const Value& step, int64_t size,
                  const Meter& meter) {
  const auto bound = [&](const Value& value) -> std::optional<int64_t> {
    if (value.is_none()) return std::nullopt;
    if (value.as_bool()) return *value.as_bool();
    if (!value.as_integer())
      meter.error("a slice's bound must be a whole number, not {}", value.type_name());
    return *value.as_integer();
  };
  Range range{0, 0, bound(step).value_or(1)};
  if (range.step == 0) meter.error("a slice's step must not be 0");
  if (std::abs(static_cast<double>(range.step)) > 1e9)
    meter.error("a slice's step is out of range");
  const int64_t low = range.step < 0 ? -1 : 0, high = range.step < 0 ? size - 1 : size;
  const auto clamp = [&](std::optional<int64_t> value, int64_t fallback) {
    if (!value) return fallback;
    return std::clamp(*value < 0 ? *value + size : *value, low, high);
  };
  range.start = clamp(bound(start), range.step < 0 ? high : low);
  range.stop = clamp(bound(stop), range.step < 0 ? low : high);
  return range;
}

template <typename Take>
void for_each_in(const Range& range, Take take) {
  for (int64_t i = range.start; range.step > 0 ? i < range.stop : i > range.stop; i += range.step)
    take(i);
}

Value loop_attribute(const LoopState& loop, const std::string& name, const Meter& meter) {
  const auto size = static_cast<int64_t>(loop.items->size()),
             index = static_cast<int64_t>(loop.index);
  if (name == "index") return Value::integer(index + 1);
  if (name == "index0") return Value::integer(index);
  if (name == "revindex") return Value::integer(size - index);
  if (name == "revindex0") return Value::integer(size - index - 1);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 == size);
  if (name == "length") return Value::integer(size);
  if (name == "depth") return Value::integer(1);  // counts the levels of recursive loops only
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem")
    return index > 0 ? (*loop.items)[loop.index - 1] : Value::undefined("loop.previtem");
  if (name == "nextitem")
    return index + 1 < size ? (*loop.items)[loop.index + 1] : Value::undefined("loop.nextitem");
  meter.error(
      "'loop.{}' is not supported; supported are index, index0, revindex, revindex0, first, last, "
      "length, depth, depth0, previtem, nextitem, cycle()",
      name);
}

bool is_sequence(const List& list) {
  return list.kind != ListKind::view && list.kind != ListKind::iterator;
}

Value item_at(const std::vector<Value>& items, int64_t index) {
  const auto size = static_cast<int64_t>(items.size());
  const int64_t at = index < 0 ? index + size : index;
  return at >= 0 && at < size ? items[static_cast<size_t>(at)]
                              : Value::undefined(fmt::format("[{}]", index));
}

Value character_at(const std::string& text, int64_t index, Meter& meter) {
  meter.charge(text.size() * 8);
  const std::vector<size_t> starts = character_starts(text);
  const auto size = static_cast<int64_t>(starts.size()) - 1;
  const int64_t at = index < 0 ? index + size : index;
  if (at < 0 || at >= size) return Value::undefined(fmt::format("[{}]", index));
  const size_t start = starts[static_cast<size_t>(at)];
  return Value::text(text.substr(start, starts[static_cast<size_t>(at) + 1] - start));
}

// Python finds a dict's method before its key ('x.items'), and prints its address.
void refuse_method(const Value& value, const std::string& name, const Meter& meter) {
  if (value.as_dict() ? is_dict_attribute(name) : (value.as_text() && is_method(name)))
    meter.error("'{}' of {} is its method: call it{}", name, value.type_name(),
                value.as_dict() ? fmt::format(", or write ['{}'] for the key", name) : "");
}

}  // namespace

Value attribute(const Value& value, const std::string& name, Meter& meter) {
  if (value.is_undefined()) refuse_undefined(value, meter);
  if (const LoopState* loop = value.as_loop()) return loop_attribute(*loop, name, meter);
  refuse_method(value, name, meter);
  const Value* found = nullptr;
  if (const Dict* dict = value.as_dict()) {
    meter.charge(dict->items.size() * 8);
    found = dict->find(name);
  }
  if (Namespace* space = value.as_namespace()) {
    meter.charge(space->items.size() * 8);
    found = space->find(name);
  }
  return found ? *found : Value::undefined(name);
}

Value subscript(const Value& value, const Value& index, Meter& meter) {
  meter.charge();
  if (value.is_undefined()) refuse_undefined(value, meter);
  if (const std::string* name = index.as_text()) {
    const Dict* dict = value.as_dict();
    meter.charge(dict ? dict->items.size() * 8 + name->size() : 0);
    const Value* found = dict ? dict->find(*name) : nullptr;
    return found ? *found : attribute(value, *name, meter);
  }
  const bool* flag = index.as_bool();
  if (flag || index.as_integer()) {
    const int64_t number = flag ? *flag : *index.as_integer();
    if (const std::string* text = value.as_text()) return character_at(*text, number, meter);
    if (const List* list = value.as_list(); list && is_sequence(*list))
      return item_at(list->items, number);
  }
  return Value::undefined(fmt::format("{}[{}]", value.type_name(), index.type_name()));
}

Value slice(const Value& value, const Value& start, const Value& stop, const Value& step,
            Meter& meter) {
  if (const List* list = value.as_list(); list && is_sequence(*list)) {
    std::vector<Value> items;
    const auto size = static_cast<int64_t>(list->items.size());
    meter.charge(list->items.size() * 64);
    for_each_in(slice_range(start, stop, step, size, meter),
                [&](int64_t i) { items.push_back(list->items[static_cast<size_t>(i)]); });
    return meter.list(std::move(items), list->kind);
  }
  if (const std::string* text = value.as_text()) {
    meter.charge(text->size() * 8);
    const std::vector<size_t> starts = character_starts(*text);
    std::string part;
    for_each_in(slice_range(start, stop, step, static_cast<int64_t>(starts.size()) - 1, meter),
                [&](int64_t at) {
                  const auto i = static_cast<size_t>(at);
                  part.append(*text, starts[i], starts[i + 1] - starts[i]);
                });
    return meter.text(std::move(part));
  }
  if (value.is_undefined()) refuse_undefined(value, meter);
  return Value::undefined(fmt::format("a slice of {}", value.type_name()));
}

std::vector<Value> iterate(const Value& value, Meter& meter) {
  std::vector<Value> items;
  if (const List* list = value.as_list()) {
    meter.charge(list->items.size() * 64);
    if (list->kind == ListKind::iterator && std::exchange(list->used, true))
      meter.error("an iterator runs only once; make it a list first");
    return list->items;
  }
  if (const Dict* dict = value.as_dict()) {
    meter.charge(dict->items.size() * 64);
    for (const auto& item : dict->items) items.push_back(Value::text(item.first));
  } else if (const std::string* text = value.as_text()) {
    meter.charge(text->size() * 64);
    const std::vector<size_t> starts = character_starts(*text);
    for (size_t i = 0; i + 1 < starts.size(); ++i)
      items.push_back(Value::text(text->substr(starts[i], starts[i + 1] - starts[i])));
  } else if (!value.is_undefined()) {
    meter.error("{} cannot be iterated over", value.type_name());
  }
  return items;
}

}  // namespace cohort::jinja
