// The operators. Whatever Python would raise, and whatever no chat template has a use for, is
// refused with the line.
#include "model/text/jinja_operators.h"

#include <algorithm>
#include <optional>

#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

[[noreturn]] void refuse_undefined(const Value& value, const Meter& meter) {
  meter.error("'{}' is undefined", value.undefined_name());
}

// True and False are 1 and 0, as in Python.
std::optional<int64_t> number_of(const Value& value) {
  if (const int64_t* n = value.as_integer()) return *n;
  if (const bool* b = value.as_bool()) return *b;
  return std::nullopt;
}

bool contains(const Value& container, const Value& item, Meter& meter) {
  if (container.is_undefined()) return false;
  if (const std::string* text = container.as_text()) {
    const std::string* part = item.as_text();
    if (!part) meter.error("'in' a text needs a text, not {}", item.type_name());
    meter.charge(text->size());
    meter.charge(static_cast<size_t>(static_cast<double>(text->size()) *
                                     static_cast<double>(part->size()) / 64));
    return text->find(*part) != text->npos;
  }
  if (const List* list = container.as_list())
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& v) { return equal(v, item, meter); });
  if (const Dict* dict = container.as_dict()) {
    meter.charge(dict->items.size() * 64);
    return item.as_text() && dict->find(*item.as_text());
  }
  meter.error("'in' needs a text, list or dict, not {}", container.type_name());
}

int64_t floor_divide(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

int64_t integer_arithmetic(int64_t a, std::string_view op, int64_t b, const Meter& meter) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") overflow = __builtin_add_overflow(a, b, &result);
  if (op == "-") overflow = __builtin_sub_overflow(a, b, &result);
  if (op == "*") overflow = __builtin_mul_overflow(a, b, &result);
  if (op == "//" || op == "%") {
    if (b == 0) meter.error("division by zero");
    overflow = a == INT64_MIN && b == -1;
    if (!overflow) result = op == "//" ? floor_divide(a, b) : a - floor_divide(a, b) * b;
  }
  if (overflow) meter.error("{} {} {} does not fit 64 bits", a, op, b);
  return result;
}

void write_json_text(std::string_view text, std::string& out) {
  out.push_back('"');
  for (char c : text) {
    constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
    if (const size_t at = kEscaped.find(c); at != kEscaped.npos) {
      out.push_back('\\');
      out.push_back(kLetters[at]);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

class JsonWriter {
 public:
  JsonWriter(int indent, Meter& meter) : indent_(indent), meter_(meter) {}
  std::string out;

  void write(const Value& value, int level) {
    meter_.charge();
    meter_.check_size(out.size());
    if (value.is_none()) {
      out += "null";
    } else if (const bool* b = value.as_bool()) {
      out += *b ? "true" : "false";
    } else if (const int64_t* n = value.as_integer()) {
      out += std::to_string(*n);
    } else if (const std::string* text = value.as_text()) {
      meter_.charge(text->size());
      write_json_text(*text, out);
    } else if (const List* list = value.as_list()) {
      brackets('[', ']', list->items, level, [&](const Value& item) { write(item, level + 1); });
    } else if (const Dict* dict = value.as_dict()) {
      brackets('{', '}', dict->items, level, [&](const auto& item) {
        write_json_text(item.first, out);
        out += ": ";
        write(item.second, level + 1);
      });
    } else {
      meter_.error("tojson of {} is not supported", value.type_name());
    }
  }

 private:
  template <typename Items, typename Write>
  void brackets(char open, char close, const Items& items, int level, Write write_item) {
    out.push_back(open);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += indent_ < 0 ? ", " : ",";
      new_line(level + 1);
      write_item(items[i]);
    }
    if (!items.empty()) new_line(level);
    out.push_back(close);
  }
  void new_line(int level) {
    if (indent_ < 0) return;
    out.push_back('\n');
    out.append(static_cast<size_t>(indent_) * level, ' ');
  }

  int indent_;
  Meter& meter_;
};

// Where a slice starts, stops and steps in `size` items (Python's rules).
struct Range {
  int64_t start, stop, step;
};

Range slice_range(const Value& start, const Value& stop, const Value& step, int64_t size,
                  const Meter& meter) {
  const auto bound = [&](const Value& value) -> std::optional<int64_t> {
    if (value.is_none()) return std::nullopt;
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
  if (name == "previtem")
    return index > 0 ? (*loop.items)[index - 1] : Value::undefined("loop.previtem");
  if (name == "nextitem")
    return index + 1 < size ? (*loop.items)[index + 1] : Value::undefined("loop.nextitem");
  meter.error(
      "'loop.{}' is not supported; supported are index, index0, revindex, revindex0, first, last, "
      "length, "
      "previtem, nextitem",
      name);
}

}  // namespace

std::string to_text(const Value& value, const Meter& meter) {
  if (const std::string* text = value.as_text()) return *text;
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  if (const bool* b = value.as_bool()) return *b ? "True" : "False";
  if (const int64_t* n = value.as_integer()) return std::to_string(*n);
  meter.error("printing a {} is not supported; use the filter tojson", value.type_name());
}

std::string to_json(const Value& value, int indent, Meter& meter) {
  JsonWriter writer(indent, meter);
  writer.write(value, 0);
  meter.check_size(writer.out.size());
  return std::move(writer.out);
}

bool equal(const Value& a, const Value& b, Meter& meter) {
  meter.charge();
  if (number_of(a) && number_of(b)) return *number_of(a) == *number_of(b);
  if (a.as_text() && b.as_text()) {
    meter.charge(std::min(a.as_text()->size(), b.as_text()->size()));
    return *a.as_text() == *b.as_text();
  }
  if (a.as_list() && b.as_list()) {
    const auto &x = a.as_list()->items, &y = b.as_list()->items;
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [&](const Value& v, const Value& w) { return equal(v, w, meter); });
  }
  if (a.as_dict() && b.as_dict()) {
    const Dict &x = *a.as_dict(), &y = *b.as_dict();
    return x.items.size() == y.items.size() &&
           std::all_of(x.items.begin(), x.items.end(), [&](const auto& item) {
             meter.charge(y.items.size() * 64);
             const Value* other = y.find(item.first);
             return other && equal(item.second, *other, meter);
           });
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool compare(const Value& a, std::string_view op, const Value& b, Meter& meter) {
  if (op == "==") return equal(a, b, meter);
  if (op == "!=") return !equal(a, b, meter);
  if (op == "in") return contains(b, a, meter);
  if (op == "not in") return !contains(b, a, meter);
  meter.charge();
  int order = 0;
  if (number_of(a) && number_of(b)) {
    order = *number_of(a) < *number_of(b) ? -1 : *number_of(a) > *number_of(b);
  } else if (a.as_text() && b.as_text()) {
    order = a.as_text()->compare(*b.as_text());
  } else {
    for (const Value* value : {&a, &b})
      if (value->is_undefined()) refuse_undefined(*value, meter);
    meter.error("{} {} {} is not supported", a.type_name(), op, b.type_name());
  }
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  if (op == ">") return order > 0;
  return order >= 0;
}

Value arithmetic(const Value& a, std::string_view op, const Value& b, Meter& meter) {
  meter.charge();
  if (op == "~") {
    std::string text = to_text(a, meter);
    return meter.text(text += to_text(b, meter));
  }
  if (number_of(a) && number_of(b))
    return Value::integer(integer_arithmetic(*number_of(a), op, *number_of(b), meter));
  if (op == "+" && a.as_text() && b.as_text()) return meter.text(*a.as_text() + *b.as_text());
  if (op == "+" && a.as_list() && b.as_list()) {
    std::vector<Value> items = a.as_list()->items;
    items.insert(items.end(), b.as_list()->items.begin(), b.as_list()->items.end());
    return meter.list(std::move(items));
  }
  for (const Value* value : {&a, &b})
    if (value->is_undefined()) refuse_undefined(*value, meter);
  meter.error("{} {} {} is not supported", a.type_name(), op, b.type_name());
}

Value attribute(const Value& value, const std::string& name, const Meter& meter) {
  if (value.is_undefined()) refuse_undefined(value, meter);
  if (const LoopState* loop = value.as_loop()) return loop_attribute(*loop, name, meter);
  const Value* found = nullptr;
  if (const Dict* dict = value.as_dict()) found = dict->find(name);
  if (Namespace* space = value.as_namespace()) found = space->find(name);
  return found ? *found : Value::undefined(name);
}

Value subscript(const Value& value, const Value& index, Meter& meter) {
  meter.charge();
  if (value.is_undefined()) refuse_undefined(value, meter);
  if (const std::string* name = index.as_text()) return attribute(value, *name, meter);
  const int64_t* number = index.as_integer();
  if (!number || !(value.as_list() || value.as_text()))
    meter.error("{}[{}] is not supported", value.type_name(), index.type_name());
  if (const List* list = value.as_list()) {
    const auto size = static_cast<int64_t>(list->items.size());
    const int64_t at = *number < 0 ? *number + size : *number;
    return at >= 0 && at < size ? list->items[at] : Value::undefined(fmt::format("[{}]", *number));
  }
  const std::string& text = *value.as_text();
  meter.charge(text.size());
  const std::vector<size_t> starts = character_starts(text);
  const auto size = static_cast<int64_t>(starts.size()) - 1;
  const int64_t at = *number < 0 ? *number + size : *number;
  if (at < 0 || at >= size) return Value::undefined(fmt::format("[{}]", *number));
  return Value::text(text.substr(starts[at], starts[at + 1] - starts[at]));
}

Value slice(const Value& value, const Value& start, const Value& stop, const Value& step,
            Meter& meter) {
  if (const List* list = value.as_list()) {
    std::vector<Value> items;
    const auto size = static_cast<int64_t>(list->items.size());
    for_each_in(slice_range(start, stop, step, size, meter),
                [&](int64_t i) { items.push_back(list->items[i]); });
    return meter.list(std::move(items));
  }
  if (const std::string* text = value.as_text()) {
    meter.charge(text->size());
    const std::vector<size_t> starts = character_starts(*text);
    std::string part;
    for_each_in(slice_range(start, stop, step, static_cast<int64_t>(starts.size()) - 1, meter),
                [&](int64_t i) { part.append(*text, starts[i], starts[i + 1] - starts[i]); });
    return meter.text(std::move(part));
  }
  if (value.is_undefined()) refuse_undefined(value, meter);
  meter.error("a slice of {} is not supported", value.type_name());
}

std::vector<Value> iterate(const Value& value, Meter& meter) {
  std::vector<Value> items;
  if (const List* list = value.as_list()) {
    meter.charge(list->items.size() * 64);
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
