#include "reward/json_schema.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

constexpr int kMaxDepth = 32;
constexpr size_t kShown = 200;  // bytes of what the user wrote, in a message

const std::vector<std::string>& keywords() {
  static const std::vector<std::string> kNames = {"type",
                                                  "enum",
                                                  "const",
                                                  "properties",
                                                  "required",
                                                  "additionalProperties",
                                                  "items",
                                                  "minItems",
                                                  "maxItems",
                                                  "minLength",
                                                  "maxLength",
                                                  "minimum",
                                                  "maximum",
                                                  "exclusiveMinimum",
                                                  "exclusiveMaximum",
                                                  "anyOf",
                                                  "title",
                                                  "description",
                                                  "$schema",
                                                  "examples",
                                                  "default"};
  return kNames;
}

const std::vector<std::string>& types() {
  static const std::vector<std::string> kNames = {"object", "array", "string", "number", "integer", "boolean", "null"};
  return kNames;
}

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= kShown ? text : to_valid_utf8(text.substr(0, kShown)) + "...";
}

// The place of a property, in which a long name does not come again for each place below it.
std::string place_of(const std::string& where, const std::string& name) {
  return where + "." + (name.size() <= kShown ? name : to_valid_utf8(name.substr(0, kShown)) + "...");
}

void check_type(const Json& type, const std::string& where) {
  const bool known = type.is_string() && std::ranges::find(types(), type.get<std::string>()) != types().end();
  CHECK_USAGE(known, "{}: type {} is unknown; allowed are {}", where, shown(type), fmt::join(types(), ", "));
}

void check(const Json& schema, const std::string& where, int depth) {
  CHECK_USAGE(depth < kMaxDepth, "{}: the schema is nested more than {} levels deep", where, kMaxDepth);
  if (schema.is_boolean()) return;
  CHECK_USAGE(schema.is_object(), "{}: a schema is an object or a boolean, found {}", where, shown(schema));
  for (const auto& [key, value] : schema.items()) {
    if (std::ranges::find(keywords(), key) == keywords().end()) {
      const std::string nearest = nearest_name(key, keywords());
      fail(ExitCode::kUsage, "{}: unknown keyword '{}';{} allowed are {}", where, key.substr(0, kShown),
           nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(keywords(), ", "));
    }
    const std::string here = where + "." + key;
    if (key == "type" && value.is_array()) {
      for (const Json& type : value) check_type(type, here);
    } else if (key == "type") {
      check_type(value, here);
    } else if (key == "properties") {
      CHECK_USAGE(value.is_object(), "{}: found {}; allowed is an object of schemas", here, shown(value));
      for (const auto& [name, inner] : value.items()) check(inner, place_of(here, name), depth + 1);
    } else if (key == "anyOf") {
      CHECK_USAGE(value.is_array() && !value.empty(), "{}: found {}; allowed is a list of schemas", here, shown(value));
      for (const Json& inner : value) check(inner, here, depth + 1);
    } else if (key == "items" || key == "additionalProperties") {
      check(value, here, depth + 1);
    } else if (key == "required") {
      CHECK_USAGE(value.is_array() && std::ranges::all_of(value, [](const Json& n) { return n.is_string(); }),
                  "{}: found {}; allowed is a list of names", here, shown(value));
    } else if (key == "enum") {
      CHECK_USAGE(value.is_array() && !value.empty(), "{}: found {}; allowed is a list of values", here, shown(value));
    } else if ((key.starts_with("min") && key != "minimum") || (key.starts_with("max") && key != "maximum")) {
      CHECK_USAGE(value.is_number_integer() && value.get<int64_t>() >= 0,
                  "{}: found {}; allowed is a whole number from 0", here, shown(value));
    } else if (key == "minimum" || key == "maximum" || key.starts_with("exclusive")) {
      CHECK_USAGE(value.is_number() && std::isfinite(value.get<double>()), "{}: found {}; allowed is a number", here, shown(value));
    }
  }
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  return value.is_number_integer() || (value.is_number() && std::trunc(value.get<double>()) == value.get<double>());
}

int64_t code_points(const std::string& text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

// Exact for each of the three types that a number may have: the comparison of the JSON library wraps 2^64 - 1 to -1, and
// rounds 2^53 + 1 to 2^53.
long double exact(const Json& number) {
  static_assert(LDBL_MANT_DIG >= 64);
  if (number.is_number_unsigned()) return static_cast<long double>(number.get<uint64_t>());
  if (number.is_number_integer()) return static_cast<long double>(number.get<int64_t>());
  return static_cast<long double>(number.get<double>());
}

// One value against one schema, within a budget for all of it.
class Fitting {
 public:
  bool fits(const Json& value, const Json& schema) {
    if (!spend(1)) return false;
    if (schema.is_boolean()) return schema.get<bool>();
    return std::ranges::all_of(schema.items(), [&](const auto& entry) { return spend(1) && fits(value, schema, entry.key(), entry.value()); });
  }

 private:
  // Once it is spent all answers are no, and no keyword turns a no into a yes.
  bool spend(size_t steps) {
    left_ -= std::min(left_, steps);
    return left_ > 0;
  }

  // As the standard has it: numbers by value, objects whatever the order of their members.
  bool same(const Json& a, const Json& b) {
    if (!spend(1)) return false;
    if (a.is_number() && b.is_number()) return exact(a) == exact(b);
    if (a.type() != b.type()) return false;
    if (a.is_string()) return spend(a.get_ref<const std::string&>().size() / 16) && a == b;
    if (!a.is_structured()) return a == b;
    if (a.size() != b.size()) return false;
    if (a.is_array()) return std::ranges::equal(a, b, [&](const Json& x, const Json& y) { return same(x, y); });
    return std::ranges::all_of(a.items(), [&](const auto& entry) {
      const Json* other = member(b, entry.key());
      return other != nullptr && same(entry.value(), *other);
    });
  }

  // Members lie in the order in which they came and are searched one by one.
  const Json* member(const Json& object, const std::string& name) {
    if (!spend(object.size())) return nullptr;
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
  }

  bool fits(const Json& value, const Json& schema, const std::string& key, const Json& wanted) {
    if (key == "type") {
      if (wanted.is_string()) return has_type(value, wanted.get<std::string>());
      return std::ranges::any_of(wanted, [&](const Json& type) { return spend(1) && has_type(value, type.get<std::string>()); });
    }
    if (key == "enum") return std::ranges::any_of(wanted, [&](const Json& one) { return same(value, one); });
    if (key == "const") return same(value, wanted);
    if (key == "anyOf") return std::ranges::any_of(wanted, [&](const Json& inner) { return fits(value, inner); });
    if (value.is_object()) return object_fits(value, schema, key, wanted);
    if (value.is_array()) {
      if (key == "items") return std::ranges::all_of(value, [&](const Json& item) { return fits(item, wanted); });
      if (key == "minItems" || key == "maxItems") return count_fits(static_cast<int64_t>(value.size()), key, wanted);
    } else if (value.is_string()) {
      const std::string& text = value.get_ref<const std::string&>();
      if (key == "minLength" || key == "maxLength") return spend(text.size() / 16) && count_fits(code_points(text), key, wanted);
    } else if (value.is_number()) {
      if (key == "minimum") return exact(value) >= exact(wanted);
      if (key == "maximum") return exact(value) <= exact(wanted);
      if (key == "exclusiveMinimum") return exact(value) > exact(wanted);
      if (key == "exclusiveMaximum") return exact(value) < exact(wanted);
    }
    return true;
  }

  bool object_fits(const Json& value, const Json& schema, const std::string& key, const Json& wanted) {
    if (key == "required")
      return std::ranges::all_of(wanted, [&](const Json& name) { return member(value, name.get<std::string>()) != nullptr; });
    if (key != "properties" && key != "additionalProperties") return true;
    const auto properties = schema.find("properties");
    return std::ranges::all_of(value.items(), [&](const auto& entry) {
      const Json* listed = properties == schema.end() ? nullptr : member(*properties, entry.key());
      if (!spend(1)) return false;
      if (key == "properties") return listed == nullptr || fits(entry.value(), *listed);
      return listed != nullptr || fits(entry.value(), wanted);
    });
  }

  static bool count_fits(int64_t count, const std::string& key, const Json& wanted) {
    return key.starts_with("min") ? count >= wanted.get<int64_t>() : count <= wanted.get<int64_t>();
  }

  size_t left_ = kMaxSchemaSteps;
};

}  // namespace

void check_schema(const Json& schema, const std::string& where) { check(schema, where, 0); }

bool fits_schema(const Json& value, const Json& schema) { return Fitting().fits(value, schema); }

}  // namespace cohort
