// Values of the config: YAML scalars read strictly by type, and printed so that they read back bit
// for bit.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>

#include "core/json.h"
#include "trainer/config_schema.h"

namespace cohort {

// Where a text comes from, for messages: a file, or an override of the command line, which has no
// lines.
struct ConfigSource {
  std::string name;
  bool has_lines = true;
  std::string at(const YAML::Node& node) const;  // "FILE:LINE"
};

// What YAML takes a scalar without quotes for. `ambiguous`: readers of YAML differ (yes, 010, 0x1f,
// 1_000, +5, .nan).
enum class PlainKind { null, boolean, integer, real, text, ambiguous };
PlainKind plain_kind(std::string_view text);

// What was found, for messages: "the integer 12", "the text \"12\"", "a list".
std::string describe(const YAML::Node& node);

// Puts the value into its place. Throws (exit code 2) led by `where` for another type, a value out
// of range or none of the words.
void read_value(const KeyRow& key, const YAML::Node& node, Config& config,
                const std::string& where);

// What may be a part of metrics' names.
bool is_label(std::string_view text);

// Any value, typed as YAML says. Throws (exit code 2) for null, ambiguous scalars and numbers that
// do not fit.
Json yaml_to_json(const YAML::Node& node, const ConfigSource& source);

// One line of YAML. Floats in their shortest form that reads back, always with a point ("1.0e-06"),
// so that every reader of YAML takes them for floats. Text has quotes where it needs them.
std::string yaml_of(const KeyRow& key, const Config& config);
std::string yaml_of(const Json& value);

// A list of data sources; throws (exit code 2), led by `where`, for what is none. An entry of it as a file has it; `weight`: with its weight.
std::vector<DataSource> read_sources(const Json& list, const KeyRow& key, const std::string& where);
Json source_entry(const DataSource& source, bool weight);

// An entry of the list `reward` as a file has it: name, weight and the options.
Json reward_entry(const RewardSpec& spec);

}  // namespace cohort
