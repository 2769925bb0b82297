// Filters, tests, methods and functions, in tables by name.
#include "model/text/jinja_builtins.h"

#include <algorithm>

#include "model/text/jinja_operators.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

template <typename Function>
struct Entry {
  std::string_view name;
  Function function;
};

template <typename Table>
const auto* find_entry(const Table& table, std::string_view name) {
  const auto it = std::find_if(std::begin(table), std::end(table),
                               [&](const auto& entry) { return entry.name == name; });
  return it == std::end(table) ? nullptr : &*it;
}

template <typename Table>
std::string names_of(const Table& table) {
  std::string names;
  for (const auto& entry : table) names.append(names.empty() ? "" : ", ").append(entry.name);
  return names;
}

const std::string& text_argument(const Call& call, size_t position, std::string_view key = "") {
  const Value* value = call.find(position, key);
  if (!value || !value->as_text())
    call.meter.error("'{}' needs a text as argument {}", call.name, position + 1);
  return *value->as_text();
}

// The characters to strip, when given. A long set would make stripping quadratic.
std::optional<std::string_view> strip_argument(const Call& call) {
  constexpr size_t kMaxCharacters = 256;
  if (!call.find(0, "chars") || call.find(0, "chars")->is_none()) return std::nullopt;
  const std::string& characters = text_argument(call, 0, "chars");
  if (characters.size() > kMaxCharacters)
    call.meter.error("'{}' of more than {} bytes", call.name, kMaxCharacters);
  return characters;
}

Value length(const Call& call) {
  if (const std::string* text = call.self.as_text()) {
    call.meter.charge(text->size());
    return Value::integer(count_characters(*text));
  }
  if (const List* list = call.self.as_list())
    return Value::integer(static_cast<int64_t>(list->items.size()));
  if (const Dict* dict = call.self.as_dict())
    return Value::integer(static_cast<int64_t>(dict->items.size()));
  if (call.self.is_undefined()) return Value::integer(0);
  call.meter.error("{} has no length", call.self.type_name());
}

Value default_to(const Call& call) {
  call.take_at_most(2);
  const Value* fallback = call.find(0, "default_value");
  const Value* also_false = call.find(1, "boolean");
  const bool missing =
      call.self.is_undefined() || (also_false && also_false->truthy() && !call.self.truthy());
  if (!missing) return call.self;
  return fallback ? *fallback : Value::text("");
}

Value json(const Call& call) {
  const Value* indent = call.find(call.arguments.size(), "indent");
  for (const std::string& name : call.names)
    if (name != "indent") call.meter.error("tojson takes indent=N only");
  if (!indent || indent->is_none()) return call.meter.text(to_json(call.self, -1, call.meter));
  if (!indent->as_integer() || *indent->as_integer() < 0 || *indent->as_integer() > 16)
    call.meter.error("tojson: indent must be a whole number in 0..16");
  return call.meter.text(to_json(call.self, static_cast<int>(*indent->as_integer()), call.meter));
}

Value join(const Call& call) {
  call.take_at_most(1);
  const Value* separator = call.find(0, "d");
  const std::string between = separator ? to_text(*separator, call.meter) : "";
  std::string text;
  const std::vector<Value> items = iterate(call.self, call.meter);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += between;
    text += to_text(items[i], call.meter);
    call.meter.check_size(text.size());
  }
  return call.meter.text(std::move(text));
}

Value items_of(const Call& call) {
  call.take_at_most(0);
  if (call.self.is_undefined()) return Value::list({});
  const Dict* dict = call.self.as_dict();
  if (!dict)
    call.meter.error("'items' of {} is not supported; it needs a dict", call.self.type_name());
  std::vector<Value> pairs;
  for (const auto& [key, value] : dict->items)
    pairs.push_back(call.meter.list({Value::text(key), value}));
  return call.meter.list(std::move(pairs));
}

Value first_or_last(const Call& call) {
  const std::vector<Value> items = iterate(call.self, call.meter);
  if (items.empty()) return Value::undefined(std::string(call.name));
  return call.name == "first" ? items.front() : items.back();
}

Value replaced(const Call& call) {
  call.take_at_most(2);
  const std::string text = to_text(call.self, call.meter);
  const std::string &from = text_argument(call, 0, "old"), &to = text_argument(call, 1, "new");
  if (from.empty()) call.meter.error("'replace' of an empty text is not supported");
  call.meter.charge(text.size() * std::min<size_t>(from.size(), 64));
  size_t count = 0;
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + from.size()))
    ++count;
  if (to.size() > from.size())
    call.meter.check_size(text.size() + count * std::min(to.size() - from.size(), kMaxText + 1));
  return call.meter.text(replace_all(text, from, to));
}

// Keeps the items for which (the attribute of) the item passes a test: selectattr, rejectattr,
// select, reject.
Value select(const Call& call) {
  const bool by_attribute = call.name.ends_with("attr"), keep = call.name.starts_with("select");
  const size_t first = by_attribute ? 1 : 0;
  const std::string* attribute_name = by_attribute ? &text_argument(call, 0) : nullptr;
  const std::string* test = call.arguments.size() > first ? &text_argument(call, first) : nullptr;
  if (test && !is_test(*test))
    call.meter.error("the test '{}' is not supported; supported are {}", *test, test_names());
  std::vector<Value> kept;
  for (const Value& item : iterate(call.self, call.meter)) {
    call.meter.charge();
    Value value = by_attribute ? attribute(item, *attribute_name, call.meter) : item;
    bool passes = value.truthy();
    if (test) {
      std::vector<Value> rest(call.arguments.begin() + static_cast<ptrdiff_t>(first) + 1,
                              call.arguments.end());
      const std::vector<std::string> names(rest.size());
      passes = call_test({*test, std::move(value), std::move(rest), names, call.meter});
    }
    if (passes == keep) kept.push_back(item);
  }
  return call.meter.list(std::move(kept));
}

template <std::string (*Map)(std::string_view)>
Value mapped(const Call& call) {
  call.take_at_most(0);
  const std::string text = to_text(call.self, call.meter);
  call.meter.charge(text.size() * 8);
  return call.meter.text(Map(text));
}

template <std::string_view (*Strip)(std::string_view, std::optional<std::string_view>)>
Value stripped(const Call& call) {
  call.take_at_most(1);
  const std::string text = to_text(call.self, call.meter);
  return call.meter.text(std::string(Strip(text, strip_argument(call))));
}

using Function = Value (*)(const Call&);

constexpr Entry<Function> kFilters[] = {
    {"trim", stripped<strip>},
    {"upper", mapped<to_upper>},
    {"lower", mapped<to_lower>},
    {"length", length},
    {"count", length},
    {"default", default_to},
    {"d", default_to},
    {"tojson", json},
    {"string", [](const Call& call) { return Value::text(to_text(call.self, call.meter)); }},
    {"list", [](const Call& call) { return call.meter.list(iterate(call.self, call.meter)); }},
    {"join", join},
    {"items", items_of},
    {"first", first_or_last},
    {"last", first_or_last},
    {"replace", replaced},
    {"select", select},
    {"reject", select},
    {"selectattr", select},
    {"rejectattr", select},
};

Value starts_or_ends(const Call& call) {
  call.take_at_most(1);
  const std::string& part = text_argument(call, 0);
  const std::string& text = *call.self.as_text();
  return Value::boolean(call.name == "startswith" ? text.starts_with(part) : text.ends_with(part));
}

Value split_text(const Call& call) {
  call.take_at_most(2);
  const std::string& text = *call.self.as_text();
  const Value* separator = call.find(0, "sep");
  const Value* most = call.find(1, "maxsplit");
  if (most && !most->as_integer()) call.meter.error("'split': maxsplit must be a whole number");
  std::vector<std::string> parts;
  if (!separator || separator->is_none()) {
    if (most) call.meter.error("'split' at white space with maxsplit is not supported");
    parts = split_white_space(text);
  } else {
    const std::string& between = text_argument(call, 0, "sep");
    if (between.empty()) call.meter.error("'split' at an empty text is not supported");
    call.meter.charge(text.size() * std::min<size_t>(between.size(), 64));
    parts = split(text, between, most && *most->as_integer() >= 0 ? *most->as_integer() : SIZE_MAX);
  }
  std::vector<Value> values;
  for (std::string& part : parts) values.push_back(Value::text(std::move(part)));
  return call.meter.list(std::move(values));
}

Value dict_get(const Call& call) {
  call.take_at_most(2);
  const Value* found = call.self.as_dict()->find(text_argument(call, 0));
  if (found) return *found;
  return call.find(1) ? *call.find(1) : Value();
}

Value keys_or_values(const Call& call) {
  call.take_at_most(0);
  std::vector<Value> values;
  for (const auto& [key, value] : call.self.as_dict()->items)
    values.push_back(call.name == "keys" ? Value::text(key) : value);
  return call.meter.list(std::move(values));
}

struct Method {
  std::string_view name;
  bool of_text;  // else of a dict
  Function function;
};

constexpr Method kMethods[] = {
    {"strip", true, stripped<strip>},   {"lstrip", true, stripped<lstrip>},
    {"rstrip", true, stripped<rstrip>}, {"startswith", true, starts_or_ends},
    {"endswith", true, starts_or_ends}, {"upper", true, mapped<to_upper>},
    {"lower", true, mapped<to_lower>},  {"replace", true, replaced},
    {"split", true, split_text},        {"get", false, dict_get},
    {"items", false, items_of},         {"keys", false, keys_or_values},
    {"values", false, keys_or_values},
};

using Test = bool (*)(const Call&);

template <int Remainder>
bool is_parity(const Call& call) {
  if (!call.self.as_integer())
    call.meter.error("'{}' needs a whole number, not {}", call.name, call.self.type_name());
  return (*call.self.as_integer() & 1) == Remainder;
}

bool is_equal_to(const Call& call) {
  if (call.arguments.size() != 1) call.meter.error("'{}' needs one argument", call.name);
  return equal(call.self, call.arguments[0], call.meter);
}

bool is_iterable(const Call& call) {
  return call.self.as_text() || call.self.as_list() || call.self.as_dict() ||
         call.self.is_undefined();
}

constexpr Entry<Test> kTests[] = {
    {"defined", [](const Call& call) { return !call.self.is_undefined(); }},
    {"undefined", [](const Call& call) { return call.self.is_undefined(); }},
    {"none", [](const Call& call) { return call.self.is_none(); }},
    {"string", [](const Call& call) { return call.self.as_text() != nullptr; }},
    {"number", [](const Call& call) { return call.self.as_integer() || call.self.as_bool(); }},
    {"integer", [](const Call& call) { return call.self.as_integer() != nullptr; }},
    {"boolean", [](const Call& call) { return call.self.as_bool() != nullptr; }},
    {"true", [](const Call& call) { return call.self.as_bool() && *call.self.as_bool(); }},
    {"false", [](const Call& call) { return call.self.as_bool() && !*call.self.as_bool(); }},
    {"mapping", [](const Call& call) { return call.self.as_dict() != nullptr; }},
    {"iterable", is_iterable},
    {"sequence", is_iterable},
    {"odd", is_parity<1>},
    {"even", is_parity<0>},
    {"equalto", is_equal_to},
    {"eq", is_equal_to},
    {"ne", [](const Call& call) { return !is_equal_to(call); }},
};

Value range(const Call& call) {
  std::vector<int64_t> bounds;
  for (const Value& argument : call.arguments) {
    if (!argument.as_integer())
      call.meter.error("'range' needs whole numbers, not {}", argument.type_name());
    bounds.push_back(*argument.as_integer());
  }
  if (bounds.empty() || bounds.size() > 3) call.meter.error("'range' takes 1 to 3 arguments");
  const int64_t start = bounds.size() > 1 ? bounds[0] : 0,
                stop = bounds.size() > 1 ? bounds[1] : bounds[0];
  const int64_t step = bounds.size() > 2 ? bounds[2] : 1;
  if (step == 0) call.meter.error("'range' must not have step 0");
  const double count =
      (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
  if (count > static_cast<double>(kMaxOperations))
    call.meter.error("'range' of more than {} items", kMaxOperations);
  std::vector<Value> items;
  if (count > 0) call.meter.charge(static_cast<size_t>(count) * 64);
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return call.meter.list(std::move(items));
}

Value make_namespace(const Call& call) {
  auto space = std::make_shared<Namespace>();
  std::vector<std::pair<std::string, Value>> items;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (call.names[i].empty()) call.meter.error("'namespace' takes named arguments only");
    items.emplace_back(call.names[i], call.arguments[i]);
  }
  call.meter.dict(items);  // refuses namespaces and 'loop' inside
  space->items = std::move(items);
  return Value(Value::Data(std::move(space)));
}

Value raise_exception(const Call& call) {
  call.take_at_most(1);
  const Value* message = call.find(0, "message");
  call.meter.error("the template refuses the conversation: {}",
                   message ? to_text(*message, call.meter) : "(no message)");
}

constexpr Entry<Function> kFunctions[] = {
    {"range", range},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
};

}  // namespace

const Value* Call::find(size_t position, std::string_view key) const {
  for (size_t i = 0; i < arguments.size(); ++i)
    if (names[i].empty() ? i == position : (names[i] == key && !key.empty())) return &arguments[i];
  return nullptr;
}

void Call::take_at_most(size_t count) const {
  if (arguments.size() > count)
    meter.error("'{}' with {} arguments is not supported; supported are up to {}", name,
                arguments.size(), count);
}

bool is_filter(std::string_view name) { return find_entry(kFilters, name); }
bool is_test(std::string_view name) { return find_entry(kTests, name); }
bool is_method(std::string_view name) { return find_entry(kMethods, name); }
std::string filter_names() { return names_of(kFilters); }
std::string test_names() { return names_of(kTests); }
std::string method_names() { return names_of(kMethods); }

Value call_filter(const Call& call) { return find_entry(kFilters, call.name)->function(call); }
bool call_test(const Call& call) { return find_entry(kTests, call.name)->function(call); }

Value call_method(const Call& call) {
  const Method& method = *find_entry(kMethods, call.name);
  if (call.self.is_undefined()) call.meter.error("'{}' is undefined", call.self.undefined_name());
  if (method.of_text ? !call.self.as_text() : !call.self.as_dict())
    call.meter.error("{} has no method '{}'", call.self.type_name(), call.name);
  return method.function(call);
}

Value call_function(const Call& call) {
  const auto* entry = find_entry(kFunctions, call.name);
  if (!entry)
    call.meter.error("the function '{}' is not supported; supported are {}", call.name,
                     names_of(kFunctions));
  return entry->function(call);
}

}  // namespace cohort::jinja
