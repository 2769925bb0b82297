#include "reward/json_schema.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <concepts>
#include <map>
#include <vector>

#include "core/check.h"
#include "core/text.h"
#include "reward/pattern.h"

namespace cohort {
namespace {

constexpr int kMaxDepth = 32;        // of a schema
constexpr int kMaxFitDepth = 300;    // of schemas within schemas and values within values, references followed
constexpr size_t kBytesOfStep = 16;  // of a text that is looked through
constexpr size_t kShown = 200;       // bytes of what the user wrote, in a message

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
                                                  "pattern",
                                                  "allOf",
                                                  "anyOf",
                                                  "oneOf",
                                                  "not",
                                                  "$ref",
                                                  "$defs",
                                                  "definitions",
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

// " did you mean 'string'?", or nothing.
std::string meant(const Json& name, const std::vector<std::string>& names) {
  const std::string nearest = name.is_string() ? nearest_name(name.get<std::string>(), names) : "";
  return nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest);
}

void check_type(const Json& type, const std::string& where) {
  const bool known = type.is_string() && std::ranges::find(types(), type.get<std::string>()) != types().end();
  CHECK_USAGE(known, "{}: type {} is unknown;{} allowed are {}", where, shown(type), meant(type, types()), fmt::join(types(), ", "));
}

bool is_list_of_schemas(const std::string& key) { return key == "allOf" || key == "anyOf" || key == "oneOf"; }

// The schema that a reference names: the whole one, or a definition of it. Null: there is none.
const Json* definition(const Json& root, const std::string& reference) {
  if (reference == "#") return &root;
  for (const std::string key : {"$defs", "definitions"}) {
    const std::string prefix = "#/" + key + "/";
    if (!reference.starts_with(prefix) || !root.is_object() || !root.contains(key)) continue;
    std::string name;  // RFC 6901: ~1 is / and ~0 is ~
    for (size_t i = prefix.size(); i < reference.size(); ++i) {
      const std::string_view rest = std::string_view(reference).substr(i);
      if (rest[0] == '/' || rest[0] == '%') return nullptr;
      name += rest.starts_with("~1") ? '/' : rest[0];
      i += rest.starts_with("~1") || rest.starts_with("~0");
    }
    const auto found = root.at(key).find(name);
    return found == root.at(key).end() ? nullptr : &*found;
  }
  return nullptr;
}

// All that may be referred to.
std::vector<std::string> definitions(const Json& root) {
  std::vector<std::string> names = {"#"};
  for (const std::string key : {"$defs", "definitions"})
    if (root.is_object() && root.contains(key) && root.at(key).is_object())
      for (const auto& [name, schema] : root.at(key).items()) names.push_back("#/" + key + "/" + name);
  return names;
}

using References = std::map<std::string, const Json*, std::less<>>;
using Patterns = std::map<std::string, Pattern, std::less<>>;

// A schema that comes back to itself at the same value, by references and nothing else, says nothing.
class Cycles {
 public:
  Cycles(const References& references, const std::string& where) : references_(references), where_(where) {}

  void check(const Json& schema, int depth = 0) {
    if (!schema.is_object() || states_[&schema] == State::done) return;
    CHECK_USAGE(states_[&schema] == State::none, "{}: the schema refers to itself at the same value ({}); a reference may come back only "
                "within properties, additionalProperties or items", where_, shown(schema));
    CHECK_USAGE(depth < kMaxFitDepth, "{}: references to references, more than {} of them", where_, kMaxFitDepth);
    states_[&schema] = State::under_way;
    for (const auto& [key, value] : schema.items()) {
      if (key == "$ref") check(*references_.at(value.get<std::string>()), depth + 1);
      if (key == "not") check(value, depth + 1);
      if (is_list_of_schemas(key))
        for (const Json& inner : value) check(inner, depth + 1);
    }
    states_[&schema] = State::done;
  }

 private:
  enum class State { none, under_way, done };
  const References& references_;
  const std::string& where_;
  std::map<const Json*, State> states_;
};

// Throws for what is not understood; compiles the patterns and looks up the references.
class Reader {
 public:
  Reader(const Json& root, Patterns& patterns, References& references) : root_(root), patterns_(patterns), references_(references) {}

  void read(const std::string& where) {
    check(root_, where, 0);
    Cycles cycles(references_, where);
    for (const Json* schema : schemas_) cycles.check(*schema);
  }

 private:

  void check(const Json& schema, const std::string& where, int depth) {
    CHECK_USAGE(depth < kMaxDepth, "{}: the schema is nested more than {} levels deep", where, kMaxDepth);
    if (schema.is_boolean()) return;
    CHECK_USAGE(schema.is_object(), "{}: a schema is an object or a boolean, found {}", where, shown(schema));
    schemas_.push_back(&schema);
    for (const auto& [key, value] : schema.items()) {
      if (std::ranges::find(keywords(), key) == keywords().end()) {
        fail(ExitCode::kUsage, "{}: unknown keyword '{}';{} allowed are {}", where, key.substr(0, kShown), meant(key, keywords()),
             fmt::join(keywords(), ", "));
      }
      const std::string here = where + "." + key;
      if (key == "type" && value.is_array()) {
        for (const Json& type : value) check_type(type, here);
      } else if (key == "type") {
        check_type(value, here);
      } else if (key == "properties" || key == "$defs" || key == "definitions") {
        CHECK_USAGE(value.is_object(), "{}: found {}; allowed is an object of schemas", here, shown(value));
        for (const auto& [name, inner] : value.items()) check(inner, place_of(here, name), depth + 1);
      } else if (is_list_of_schemas(key)) {
        CHECK_USAGE(value.is_array() && !value.empty(), "{}: found {}; allowed is a list of schemas", here, shown(value));
        for (const Json& inner : value) check(inner, here, depth + 1);
      } else if (key == "items" || key == "additionalProperties" || key == "not") {
        check(value, here, depth + 1);
      } else if (key == "pattern") {
        CHECK_USAGE(value.is_string(), "{}: found {}; allowed is a text", here, shown(value));
        const std::string& text = value.get_ref<const std::string&>();
        if (!patterns_.contains(text)) patterns_.emplace(text, Pattern(text, {.strict_end = true}, here));
      } else if (key == "$ref") {
        const Json* const target = value.is_string() ? definition(root_, value.get<std::string>()) : nullptr;
        CHECK_USAGE(target != nullptr, "{}: found {};{} allowed are \"#\" and \"#/$defs/NAME\" of a NAME that is there", here, shown(value),
                    meant(value, definitions(root_)));
        references_[value.get<std::string>()] = target;
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

  const Json& root_;
  Patterns& patterns_;
  References& references_;
  std::vector<const Json*> schemas_;
};

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
  Fitting(const Patterns& patterns, const References& references) : patterns_(patterns), references_(references) {}

  // Not where the budget was spent: `not` and `oneOf` could make a yes of what was not looked at.
  bool fits_within_budget(const Json& value, const Json& schema) { return fits(value, schema) && left_ > 0; }

 private:
  bool fits(const Json& value, const Json& schema) {
    if (schema.is_boolean()) return spend(1) && schema.get<bool>();
    if (++depth_ > kMaxFitDepth) left_ = 0;
    const bool all = spend(1) && std::ranges::all_of(schema.items(), [&](const auto& entry) {
      return spend(1) && fits(value, schema, entry.key(), entry.value());
    });
    --depth_;
    return all;
  }

  bool spend(std::integral auto steps) {
    left_ -= std::min(left_, static_cast<int64_t>(steps));
    return left_ > 0;
  }

  // As the standard has it: numbers by value, objects whatever the order of their members.
  bool same(const Json& a, const Json& b) {
    if (!spend(1)) return false;
    if (a.is_number() && b.is_number()) return exact(a) == exact(b);
    if (a.type() != b.type()) return false;
    if (a.is_string()) return spend(a.get_ref<const std::string&>().size() / kBytesOfStep) && a == b;
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
    const auto inner_fits = [&](const Json& inner) { return fits(value, inner); };
    if (key == "allOf") return std::ranges::all_of(wanted, inner_fits);
    if (key == "anyOf") return std::ranges::any_of(wanted, inner_fits);
    if (key == "oneOf") return std::ranges::count_if(wanted, inner_fits) == 1;
    if (key == "not") return !fits(value, wanted);
    if (key == "$ref") return fits(value, *references_.find(wanted.get_ref<const std::string&>())->second);
    if (value.is_object()) return object_fits(value, schema, key, wanted);
    if (value.is_array()) {
      if (key == "items") return std::ranges::all_of(value, [&](const Json& item) { return fits(item, wanted); });
      if (key == "minItems" || key == "maxItems") return count_fits(static_cast<int64_t>(value.size()), key, wanted);
    } else if (value.is_string()) {
      const std::string& text = value.get_ref<const std::string&>();
      if (key == "minLength" || key == "maxLength") return spend(text.size() / kBytesOfStep) && count_fits(code_points(text), key, wanted);
      if (key == "pattern") return matches(text, patterns_.find(wanted.get_ref<const std::string&>())->second);
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

  bool matches(const std::string& text, const Pattern& pattern) {
    const Pattern::Match match = pattern.match(text, left_);
    if (match == Pattern::Match::unknown) left_ = 0;
    return spend(1 + text.size() / kBytesOfStep) && match == Pattern::Match::yes;  // PCRE2 may look through all of it before its first step
  }

  const Patterns& patterns_;
  const References& references_;
  int64_t left_ = kMaxSchemaSteps;
  int depth_ = 0;
};

}  // namespace

struct JsonSchema::Read {
  Json schema;
  Patterns patterns;
  References references;  // into the schema
};

JsonSchema::JsonSchema(Json schema, const std::string& where) : read_(std::make_unique<Read>()) {
  read_->schema = std::move(schema);
  Reader(read_->schema, read_->patterns, read_->references).read(where);
}

JsonSchema::JsonSchema(JsonSchema&&) noexcept = default;
JsonSchema::~JsonSchema() = default;

bool JsonSchema::fits(const Json& value) const {
  return Fitting(read_->patterns, read_->references).fits_within_budget(value, read_->schema);
}

}  // namespace cohort
