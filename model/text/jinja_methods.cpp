// Methods of texts and dicts.
#include <algorithm>

#include "model/text/jinja_builtins.h"
#include "model/text/jinja_guards.h"
#include "model/text/jinja_operators.h"
#include "model/text/jinja_print.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

const std::string& self_text(const Call& call) { return *call.self.as_text(); }

// Also of a tuple of texts: any of them.
Value starts_or_ends(const Call& call) {
  const Value* part = call.bind({"prefix"})[0];
  const std::string& text = self_text(call);
  const auto matches = [&](const Value& value) {
    const std::string& wanted = call.text(&value, "prefix");
    call.meter.charge(wanted.size());
    return (call.name == "startswith" ? prefix_end(text, wanted) : suffix_start(text, wanted)).has_value();
  };
  const List* list = part ? part->as_list() : nullptr;
  if (!list || list->kind != ListKind::tuple) {
    call.text(part, "prefix");
    return Value::boolean(matches(*part));
  }
  return Value::boolean(std::any_of(list->items.begin(), list->items.end(), matches));
}

Value removed_affix(const Call& call) {
  const std::string &affix = call.text(call.bind({"affix"})[0], "affix"), &text = self_text(call);
  if (call.name == "removeprefix")
    return call.meter.text(text.substr(prefix_end(text, affix).value_or(0)));
  return call.meter.text(text.substr(0, suffix_start(text, affix).value_or(text.size())));
}

Value texts(const Call& call, std::vector<std::string> parts) {
  call.meter.charge(parts.size() * 64);
  std::vector<Value> values;
  for (std::string& part : parts) values.push_back(Value::text(std::move(part)));
  return call.meter.list(std::move(values));
}

Value split_text(const Call& call) {
  const auto arguments = call.bind({"sep", "maxsplit"});
  const std::string& text = self_text(call);
  const int64_t limit = call.integer(arguments[1], "maxsplit", -1);
  const size_t most = limit < 0 ? SIZE_MAX : static_cast<size_t>(limit);
  call.meter.charge(text.size() * 4);
  if (!arguments[0] || arguments[0]->is_none()) {
    if (limit >= 0) call.meter.error("'{}' at white space with maxsplit is not supported", call.name);
    call.meter.charge(text.size() * 32);  // as many parts as there may be
    return texts(call, split_white_space(text));
  }
  const std::string& separator = call.text(arguments[0], "sep");
  if (Unguarded(separator).text().empty()) call.meter.error("'{}' at an empty text is not supported", call.name);
  if (call.name == "split") {
    // Many short parts cost more than their bytes.
    call.meter.charge(std::min(count_text(Unguarded(text).text(), separator), most) * 128);
    return texts(call, split_guarded(text, separator, most));
  }
  call.meter.charge(text.size() * std::min<size_t>(separator.size(), 1 << 20));
  return texts(call, rsplit_guarded(text, separator, most));
}

Value lines(const Call& call) {
  call.take_none();
  call.meter.charge(self_text(call).size() * 32);
  return texts(call, split_lines(self_text(call)));
}

Value find_in_text(const Call& call) {
  const Unguarded wanted(call.text(call.bind({"sub"})[0], "sub")), self(self_text(call));
  const std::string_view part = wanted.text(), text = self.text();
  call.meter.charge(self_text(call).size() * 2);
  if (call.name == "count") {
    if (part.empty()) call.meter.error("'count' of an empty text is not supported");
    call.meter.charge(text.size() * 16);  // as many as there may be
    return Value::integer(static_cast<int64_t>(count_text(text, part)));
  }
  if (call.name == "rfind") call.meter.charge(text.size() * std::min<size_t>(part.size(), 1 << 20));
  const size_t at = call.name == "rfind" ? text.rfind(part) : find_text(text, part);
  if (at == text.npos && call.name == "index") call.meter.error("'index': the text is not found");
  return Value::integer(
      at == text.npos ? -1 : count_characters(text.substr(0, at)));
}

Value joined(const Call& call) {
  const Value* list = call.bind({"iterable"})[0];
  if (!list) call.meter.error("'join' needs a list");
  std::string out;
  bool first = true;
  for (const Value& item : iterate(*list, call.meter)) {
    if (!std::exchange(first, false)) out += self_text(call);
    out += call.text(&item, "item");
    call.meter.charge(self_text(call).size() + item.as_text()->size());
    call.meter.check_size(out.size());
  }
  return call.meter.text(std::move(out));
}

template <std::string (*Map)(std::string_view)>
Value mapped(const Call& call) {
  call.take_none();
  call.meter.charge(self_text(call).size() * 8);
  return call.meter.text(Map(self_text(call)));
}

Value is_digits(const Call& call) {
  call.take_none();
  call.meter.charge(self_text(call).size() * 4);
  const Unguarded self(self_text(call));
  const std::string_view text = self.text();
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) < 0; }))
    call.meter.error("'isdigit' of a text beyond ASCII is not supported");
  return Value::boolean(!text.empty() && text.find_first_not_of("0123456789") == text.npos);
}

Value dict_get(const Call& call) {
  const auto arguments = call.bind({"key", "default"});
  const Dict& dict = *call.self.as_dict();
  if (!arguments[0]) call.meter.error("'get' needs a key");
  call.meter.charge(dict.items.size() * 8);
  const std::string* key = arguments[0]->as_text();
  const Value* found = key ? dict.find(*key) : nullptr;
  if (found) return *found;
  return arguments[1] ? *arguments[1] : Value();
}

Value dict_view(const Call& call) {
  call.take_none();
  std::vector<Value> values;
  const Dict& dict = *call.self.as_dict();
  call.meter.charge(dict.items.size() * 64);
  for (const auto& [key, value] : dict.items) {
    if (call.name == "items") {
      values.push_back(call.meter.list({Value::text(key), value}, ListKind::tuple));
    } else {
      values.push_back(call.name == "keys" ? Value::text(key) : value);
    }
  }
  return call.meter.list(std::move(values), ListKind::view);
}

Value cycle(const Call& call) {
  const size_t count = call.arguments.size();
  if (count == 0) call.meter.error("'cycle' needs arguments");
  return call.arguments[call.self.as_loop()->index % count];
}

enum class Owner { text, dict, loop };
struct Method {
  std::string_view name;
  Owner owner;
  Function function;
};

constexpr Method kMethods[] = {
    {"strip", Owner::text, stripped},
    {"lstrip", Owner::text, stripped},
    {"rstrip", Owner::text, stripped},
    {"startswith", Owner::text, starts_or_ends},
    {"endswith", Owner::text, starts_or_ends},
    {"removeprefix", Owner::text, removed_affix},
    {"removesuffix", Owner::text, removed_affix},
    {"split", Owner::text, split_text},
    {"rsplit", Owner::text, split_text},
    {"splitlines", Owner::text, lines},
    {"replace", Owner::text, replaced},
    {"join", Owner::text, joined},
    {"find", Owner::text, find_in_text},
    {"rfind", Owner::text, find_in_text},
    {"index", Owner::text, find_in_text},
    {"count", Owner::text, find_in_text},
    {"upper", Owner::text, mapped<to_upper>},
    {"lower", Owner::text, mapped<to_lower>},
    {"title", Owner::text, mapped<title>},
    {"capitalize", Owner::text, mapped<capitalize>},
    {"isdigit", Owner::text, is_digits},
    {"get", Owner::dict, dict_get},
    {"items", Owner::dict, dict_view},
    {"keys", Owner::dict, dict_view},
    {"values", Owner::dict, dict_view},
    {"cycle", Owner::loop, cycle},
};

}  // namespace

Value stripped(const Call& call) {
  constexpr size_t kMaxCharacters = 256;  // a long set would make stripping quadratic
  const auto arguments = call.bind({"chars"});
  std::optional<std::string_view> characters;
  if (arguments[0] && !arguments[0]->is_none()) {
    characters = call.text(arguments[0], "chars");
    if (characters->size() > kMaxCharacters)
      call.meter.error("'{}' of more than {} bytes", call.name, kMaxCharacters);
  }
  const std::string text = to_text(call.self, call.meter);
  if (characters) call.meter.charge(text.size() * characters->size());  // at most 2^31
  const std::string_view kept = call.name == "lstrip"   ? lstrip(text, characters)
                                : call.name == "rstrip" ? rstrip(text, characters)
                                                        : strip(text, characters);
  call.meter.charge((text.size() - kept.size()) * 8);
  return call.meter.text(std::string(kept));
}

Value replaced(const Call& call) {
  const auto arguments = call.bind({"old", "new", "count"});
  const std::string text = to_text(call.self, call.meter);
  const std::string &from = call.text(arguments[0], "old"), &to = call.text(arguments[1], "new");
  const int64_t limit =
      arguments[2] && arguments[2]->is_none() ? -1 : call.integer(arguments[2], "count", -1);
  if (Unguarded(from).text().empty()) call.meter.error("'replace' of an empty text is not supported");
  const size_t most = limit < 0 ? SIZE_MAX : static_cast<size_t>(limit);
  call.meter.charge(text.size() * 2);  // looking for them; each that is found costs more below
  const size_t count = std::min(count_text(Unguarded(text).text(), Unguarded(from).text()), most);
  call.meter.charge(count * 32);
  if (to.size() > from.size())
    call.meter.check_size(text.size() + count * std::min(to.size() - from.size(), kMaxText + 1));
  return call.meter.text(replace_guarded(text, from, to, most));
}

bool is_method(std::string_view name) { return find_entry(kMethods, name) != nullptr; }
std::string method_names() { return names_of(kMethods); }

bool is_dict_attribute(std::string_view name) {
  constexpr std::string_view kNames[] = {"get",  "items",   "keys",   "values",     "copy",    "pop",
                                         "clear", "popitem", "update", "setdefault", "fromkeys"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

Value call_method(const Call& call) {
  const Method& method = *find_entry(kMethods, call.name);
  if (call.self.is_undefined()) call.meter.error("'{}' is undefined", call.self.undefined_name());
  const bool has = method.owner == Owner::text   ? call.self.as_text() != nullptr
                   : method.owner == Owner::dict ? call.self.as_dict() != nullptr
                                                 : call.self.as_loop() != nullptr;
  if (!has) call.meter.error("{} has no method '{}'", call.self.type_name(), call.name);
  return method.function(call);
}

}  // namespace cohort::jinja
