// Strict YAML (yaml-cpp behind checks): one document, no anchors, aliases, tags or directives, no
// duplicate keys, bounded depth and size, no tabs.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>

namespace cohort {

constexpr size_t kMaxYamlBytes = 1 << 20;
constexpr size_t kMaxYamlDepth = 64;

// The document's root; a null node when there is nothing but comments. Keys of maps are scalars and
// unique; a quoted scalar has the tag "!", a plain one "?". Throws (exit code 2) with "FILE:LINE:
// what" on anything refused. `lines` false: the message is "WHERE: what", for text that is no file.
YAML::Node parse_yaml(const std::string& text, std::string_view where, bool lines = true);

// A found text for messages: one line, cut to a length that people read.
std::string excerpt(std::string_view text);

// The line (1-based) at which the node stands, for messages.
int yaml_line(const YAML::Node& node);

}  // namespace cohort
