// Strict YAML (yaml-cpp behind checks): one document, no anchors or aliases, no duplicate keys, bounded depth and size.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>

namespace cohort {

// Throws (exit code 2) with "FILE:LINE: what" on anything refused.
YAML::Node parse_yaml(const std::string& text, std::string_view where);

// The line (1-based) at which the node stands, for messages.
int yaml_line(const YAML::Node& node);

}  // namespace cohort
