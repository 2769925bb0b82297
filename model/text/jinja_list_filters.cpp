// Filters of lists and dicts. As in Jinja, most give an iterator.
#include <algorithm>

#include "model/text/jinja_builtins.h"
#include "model/text/jinja_operators.h"
#include "model/text/jinja_print.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

// `attribute` of an item: "a.b" goes down two levels.
Value attribute_of(Value item, const std::string& path, Meter& meter) {
  for (const std::string& name : split(path, "."))
    item = subscript(item, Value::text(name), meter);
  return item;
}

// What sort, unique and dictsort compare: texts without case, unless asked.
Value comparison_key(const Value& item, const Value* attribute_name, bool case_sensitive,
                     const Call& call) {
  Value key = attribute_name && !attribute_name->is_none()
                  ? attribute_of(item, call.text(attribute_name, "attribute"), call.meter)
                  : item;
  if (case_sensitive || !key.as_text()) return key;
  call.meter.charge(key.as_text()->size() * 8);
  return call.meter.text(to_lower(*key.as_text()));
}

// Stable. O(n log n) comparisons, each charged.
void sort_by_keys(std::vector<std::pair<Value, Value>>& keyed, bool reverse, Meter& meter) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return compare(reverse ? b.first : a.first, "<", reverse ? a.first : b.first, meter);
  });
}

}  // namespace

Value join(const Call& call) {
  const auto arguments = call.bind({"d", "attribute"});
  const std::string between = arguments[0] ? to_text(*arguments[0], call.meter) : "";
  std::string text;
  bool first = true;
  for (const Value& item : iterate(call.self, call.meter)) {
    if (!std::exchange(first, false)) text += between;
    const size_t before = text.size();
    text += to_text(arguments[1]
                        ? attribute_of(item, call.text(arguments[1], "attribute"), call.meter)
                        : item,
                    call.meter);
    call.meter.check_size(text.size());
    call.meter.charge(text.size() - before + between.size());
  }
  return call.meter.text(std::move(text));
}

Value items_of(const Call& call) {
  call.take_none();
  if (call.self.is_undefined()) return Value::list({}, ListKind::iterator);
  const Dict* dict = call.self.as_dict();
  if (!dict)
    call.meter.error("'items' of {} is not supported; it needs a dict", call.self.type_name());
  std::vector<Value> pairs;
  for (const auto& [key, value] : dict->items)
    pairs.push_back(call.meter.list({Value::text(key), value}, ListKind::tuple));
  return call.meter.list(std::move(pairs), ListKind::iterator);
}

Value first_or_last(const Call& call) {
  call.take_none();
  const List* list = call.self.as_list();
  if (call.name == "last" && list && list->kind == ListKind::iterator)
    call.meter.error("'last' of an iterator is not supported; make it a list first");
  const std::vector<Value> items = iterate(call.self, call.meter);
  if (items.empty()) return Value::undefined(std::string(call.name));
  return call.name == "first" ? items.front() : items.back();
}

Value select(const Call& call) {
  const bool by_attribute = call.name.ends_with("attr"), keep = call.name.starts_with("select");
  const size_t first = by_attribute ? 1 : 0;
  for (const std::string& name : call.names)
    if (!name.empty()) call.meter.error("'{}' takes no argument named '{}'", call.name, name);
  if (call.arguments.size() < first) call.meter.error("'{}' needs an attribute's name", call.name);
  const std::string* path = by_attribute ? &call.text(&call.arguments[0], "attribute") : nullptr;
  const std::string* test =
      call.arguments.size() > first ? &call.text(&call.arguments[first], "test") : nullptr;
  if (test && !is_test(*test))
    call.meter.error("the test '{}' is not supported; supported are {}", *test, test_names());
  std::vector<Value> kept;
  for (const Value& item : iterate(call.self, call.meter)) {
    call.meter.charge(64 * call.arguments.size());
    Value value = path ? attribute_of(item, *path, call.meter) : item;
    bool passes = value.truthy();
    if (test) {
      std::vector<Value> rest(call.arguments.begin() + static_cast<ptrdiff_t>(first) + 1,
                              call.arguments.end());
      const std::vector<std::string> names(rest.size());
      passes = call_test({*test, std::move(value), std::move(rest), names, call.meter});
    }
    if (passes == keep) kept.push_back(item);
  }
  return call.meter.list(std::move(kept), ListKind::iterator);
}

Value map(const Call& call) {
  std::vector<Value> mapped;
  if (!call.names.empty() && !call.names[0].empty()) {
    const auto arguments = call.bind({"attribute", "default"});
    const std::string& path = call.text(arguments[0], "attribute");
    for (const Value& item : iterate(call.self, call.meter)) {
      Value value = attribute_of(item, path, call.meter);
      mapped.push_back(value.is_undefined() && arguments[1] ? *arguments[1] : std::move(value));
    }
    return call.meter.list(std::move(mapped), ListKind::iterator);
  }
  if (call.arguments.empty()) call.meter.error("'map' needs a filter's name or attribute=");
  const std::string& filter = call.text(&call.arguments[0], "filter");
  if (!is_filter(filter) || filter == "map")  // map of map would nest calls without a bound
    call.meter.error("the filter '{}' is not supported in map", filter);
  const std::vector<std::string> names(call.names.begin() + 1, call.names.end());
  for (const Value& item : iterate(call.self, call.meter)) {
    call.meter.charge(64 * call.arguments.size() + (item.as_text() ? item.as_text()->size() : 0));
    std::vector<Value> rest(call.arguments.begin() + 1, call.arguments.end());
    mapped.push_back(call_filter({filter, item, std::move(rest), names, call.meter}));
  }
  return call.meter.list(std::move(mapped), ListKind::iterator);
}

Value sort(const Call& call) {
  const auto arguments = call.bind({"reverse", "case_sensitive", "attribute"});
  std::vector<std::pair<Value, Value>> keyed;
  for (Value& item : iterate(call.self, call.meter)) {
    Value key = comparison_key(item, arguments[2], Call::flag(arguments[1]), call);
    keyed.emplace_back(std::move(key), std::move(item));
  }
  sort_by_keys(keyed, Call::flag(arguments[0]), call.meter);
  std::vector<Value> items;
  for (auto& [key, item] : keyed) items.push_back(std::move(item));
  return call.meter.list(std::move(items));
}

Value dictsort(const Call& call) {
  const auto arguments = call.bind({"case_sensitive", "by", "reverse"});
  const Dict* dict = call.self.as_dict();
  if (!dict) call.meter.error("'dictsort' needs a dict, not {}", call.self.type_name());
  const std::string by = arguments[1] ? call.text(arguments[1], "by") : "key";
  if (by != "key" && by != "value") call.meter.error("'dictsort' sorts by 'key' or 'value'");
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : dict->items) {
    Value pair = call.meter.list({Value::text(key), value}, ListKind::tuple);
    keyed.emplace_back(comparison_key(by == "key" ? pair.as_list()->items[0] : value, nullptr,
                                      Call::flag(arguments[0]), call),
                       std::move(pair));
  }
  sort_by_keys(keyed, Call::flag(arguments[2]), call.meter);
  std::vector<Value> pairs;
  for (auto& [key, pair] : keyed) pairs.push_back(std::move(pair));
  return call.meter.list(std::move(pairs));
}

Value unique(const Call& call) {
  const auto arguments = call.bind({"case_sensitive", "attribute"});
  std::vector<Value> keys, items;
  for (Value& item : iterate(call.self, call.meter)) {
    Value key = comparison_key(item, arguments[1], Call::flag(arguments[0]), call);
    const auto same = [&](const Value& known) { return equal(known, key, call.meter); };
    if (std::any_of(keys.begin(), keys.end(), same)) continue;
    keys.push_back(std::move(key));
    items.push_back(std::move(item));
  }
  return call.meter.list(std::move(items), ListKind::iterator);
}

Value reverse(const Call& call) {
  call.take_none();
  if (call.self.as_text())
    return slice(call.self, Value(), Value(), Value::integer(-1), call.meter);
  std::vector<Value> items = iterate(call.self, call.meter);
  std::reverse(items.begin(), items.end());
  return call.meter.list(std::move(items), ListKind::iterator);
}

}  // namespace cohort::jinja
