#include <fmt/format.h>

#include <cmath>

#include "trainer/config_describe.h"
#include "trainer/config_rewards.h"

namespace cohort {
namespace {

// A whole bound as an integer: 4096, not 4096.0.
Json bound(double value) {
  if (std::abs(value) < 1e15 && value == std::trunc(value)) return static_cast<int64_t>(value);
  return value;
}

struct ValueSchema {
  const KeyRow& key;
  Json operator()(bool*) const { return {{"type", "boolean"}}; }
  Json operator()(int64_t*) const { return bounds_schema(key.bounds, "integer"); }
  Json operator()(uint64_t*) const { return {{"type", "integer"}, {"minimum", 0}, {"maximum", UINT64_MAX}}; }
  Json operator()(float*) const { return bounds_schema(key.bounds, "number"); }
  Json operator()(double*) const { return bounds_schema(key.bounds, "number"); }
  Json operator()(Json*) const { return {{"type", "object"}}; }
  Json operator()(std::vector<std::string>*) const {
    return {{"type", "array"}, {"maxItems", kLongestList}, {"items", {{"type", "string"}, {"minLength", 1}, {"maxLength", kLongestEntry}}}};
  }
  Json operator()(std::vector<int64_t>*) const {
    return {{"type", "array"}, {"maxItems", kLongestList}, {"items", bounds_schema(key.bounds, "integer")}};
  }
  Json operator()(DataFiles*) const {
    Json properties = {{"path", {{"type", "string"}, {"minLength", 1}}}, {"name", {{"type", "string"}, {"pattern", "^[A-Za-z0-9_.-]{1,64}$"}}},
                       {"columns", {{"type", "object"}, {"additionalProperties", {{"type", "string"}, {"minLength", 1}}}}}};
    if (key.has_weights) properties["weight"] = {{"type", "number"}, {"exclusiveMinimum", 0}, {"maximum", 1000000}, {"default", 1.0}};
    const Json source = {{"type", "object"}, {"properties", properties}, {"required", Json::array({"path"})}, {"additionalProperties", false}};
    return {{"anyOf", Json::array({{{"type", Json::array({"string", "null"})}},
                                   {{"type", "array"}, {"minItems", 1}, {"maxItems", kLongestList}, {"items", source}}})}};
  }
  Json operator()(std::string*) const {
    if (!key.words.empty()) return {{"enum", key.words}};
    return {{"type", key.may_be_null ? Json::array({"string", "null"}) : Json("string")}};
  }
};

Json key_schema(const KeyRow& key) {
  Config config = full_config();
  Json schema = std::visit(ValueSchema{key}, key.value(config));
  std::string help = key.help;
  if (const std::string source = key_source(key.path()); !source.empty()) help += fmt::format(" ({})", source);
  schema["description"] = help;
  if (!key_default(key).empty()) schema["default"] = key_default_json(key);
  return schema;
}

Json section_schema(const SectionRow& section) {
  Json properties = Json::object(), needed = Json::array();
  for (const KeyRow* key : keys_of(section.name)) {
    properties[key->name] = key_schema(*key);
    if (key_default(*key).empty()) needed.push_back(key->name);
  }
  for (const SectionRow& map : config_sections())
    if (map.parent() == section.name) properties[map.own_name()] = section_schema(map);
  Json schema = {{"type", section.optional() ? Json::array({"object", "null"}) : Json("object")},
                 {"description", section.help},
                 {"properties", properties},
                 {"additionalProperties", false}};
  if (!needed.empty()) schema["required"] = needed;
  return schema;
}

}  // namespace

Json bounds_schema(const Bounds& bounds, const char* type) {
  Json range = {{"type", type}};
  if (std::isfinite(bounds.low)) range[bounds.above ? "exclusiveMinimum" : "minimum"] = bound(bounds.low);
  if (std::isfinite(bounds.high)) range[bounds.below ? "exclusiveMaximum" : "maximum"] = bound(bounds.high);
  if (!bounds.or_be) return range;
  return {{"anyOf", Json::array({range, {{"const", bound(*bounds.or_be)}}})}};
}

Json config_json_schema() {
  Json properties = Json::object();
  for (const SectionRow& section : config_sections())
    if (section.parent().empty() && section.name != "reward") properties[section.name] = section_schema(section);
  properties["reward"] = {{"type", "array"}, {"description", find_section("reward")->help}, {"minItems", 1}, {"items", reward_entry_schema()}};
  // Model and data may come from the command line, and `cohort score` needs neither.
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"title", "cohort config"},
          {"description", "A config of cohort. `cohort train CONFIG --dry-run` also checks what keys must be to each other."},
          {"type", "object"},
          {"properties", properties},
          {"anyOf", Json::array({{{"required", Json::array({"reward"})}}, {{"required", Json::array({"sft"})}}, {{"required", Json::array({"rm"})}}})},
          {"additionalProperties", false}};
}

}  // namespace cohort
