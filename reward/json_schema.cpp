#include "reward/json_schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

constexpr int kMaxDepth = 32;

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

void check_type(const Json& type, const std::string& where) {
  const bool known = type.is_string() && std::ranges::find(types(), type.get<std::string>()) != types().end();
  CHECK_USAGE(known, "{}: type {} is unknown; allowed are {}", where, type.dump(), fmt::join(types(), ", "));
}

void check(const Json& schema, const std::string& where, int depth) {
  CHECK_USAGE(depth < kMaxDepth, "{}: the schema is nested more than {} levels deep", where, kMaxDepth);
  if (schema.is_boolean()) return;
  CHECK_USAGE(schema.is_object(), "{}: a schema is an object or a boolean, found {}", where, schema.dump());
  for (const auto& [key, value] : schema.items()) {
    const std::string here = where + "." + key;
    if (std::ranges::find(keywords(), key) == keywords().end()) {
      const std::string nearest = nearest_name(key, keywords());
      fail(ExitCode::kUsage, "{}: unknown keyword '{}';{} allowed are {}", where, key,
           nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(keywords(), ", "));
    }
    if (key == "type" && value.is_array()) {
      for (const Json& type : value) check_type(type, here);
    } else if (key == "type") {
      check_type(value, here);
    } else if (key == "properties") {
      CHECK_USAGE(value.is_object(), "{}: found {}; allowed is an object of schemas", here, value.dump());
      for (const auto& [name, inner] : value.items()) check(inner, here + "." + name, depth + 1);
    } else if (key == "anyOf") {
      CHECK_USAGE(value.is_array() && !value.empty(), "{}: found {}; allowed is a list of schemas", here, value.dump());
      for (const Json& inner : value) check(inner, here, depth + 1);
    } else if (key == "items" || key == "additionalProperties") {
      check(value, here, depth + 1);
    } else if (key == "required") {
      CHECK_USAGE(value.is_array() && std::ranges::all_of(value, [](const Json& n) { return n.is_string(); }),
                  "{}: found {}; allowed is a list of names", here, value.dump());
    } else if (key == "enum") {
      CHECK_USAGE(value.is_array() && !value.empty(), "{}: found {}; allowed is a list of values", here, value.dump());
    } else if ((key.starts_with("min") && key != "minimum") || (key.starts_with("max") && key != "maximum")) {
      CHECK_USAGE(value.is_number_integer() && value.get<int64_t>() >= 0,
                  "{}: found {}; allowed is a whole number from 0", here, value.dump());
    } else if (key == "minimum" || key == "maximum" || key.starts_with("exclusive")) {
      CHECK_USAGE(value.is_number(), "{}: found {}; allowed is a number", here, value.dump());
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

bool fits_keyword(const Json& value, const Json& schema, const std::string& key, const Json& wanted) {
  const auto count_fits = [&](int64_t count) {
    return key.starts_with("min") ? count >= wanted.get<int64_t>() : count <= wanted.get<int64_t>();
  };
  if (key == "type") {
    if (wanted.is_string()) return has_type(value, wanted.get<std::string>());
    return std::ranges::any_of(wanted, [&](const Json& type) { return has_type(value, type.get<std::string>()); });
  }
  if (key == "enum") return std::ranges::find(wanted, value) != wanted.end();
  if (key == "const") return value == wanted;
  if (key == "anyOf") return std::ranges::any_of(wanted, [&](const Json& inner) { return fits_schema(value, inner); });
  if (value.is_object()) {
    if (key == "required")
      return std::ranges::all_of(wanted, [&](const Json& name) { return value.contains(name.get<std::string>()); });
    const auto properties = schema.find("properties");
    for (const auto& [name, inner] : value.items()) {
      const bool listed = properties != schema.end() && properties->contains(name);
      if (key == "properties" && listed && !fits_schema(inner, properties->at(name))) return false;
      if (key == "additionalProperties" && !listed && !fits_schema(inner, wanted)) return false;
    }
  } else if (value.is_array()) {
    if (key == "items") return std::ranges::all_of(value, [&](const Json& item) { return fits_schema(item, wanted); });
    if (key == "minItems" || key == "maxItems") return count_fits(static_cast<int64_t>(value.size()));
  } else if (value.is_string()) {
    if (key == "minLength" || key == "maxLength") return count_fits(code_points(value.get_ref<const std::string&>()));
  } else if (value.is_number()) {
    if (key == "minimum") return value >= wanted;
    if (key == "maximum") return value <= wanted;
    if (key == "exclusiveMinimum") return value > wanted;
    if (key == "exclusiveMaximum") return value < wanted;
  }
  return true;
}

}  // namespace

void check_schema(const Json& schema, const std::string& where) { check(schema, where, 0); }

bool fits_schema(const Json& value, const Json& schema) {
  if (schema.is_boolean()) return schema.get<bool>();
  for (const auto& [key, wanted] : schema.items())
    if (!fits_keyword(value, schema, key, wanted)) return false;
  return true;
}

}  // namespace cohort
