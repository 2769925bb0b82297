// The commands and their options as data: what shell completion and the man page are made from.
#pragma once

#include <string>
#include <vector>

namespace cohort {

struct OptionInfo {
  std::vector<std::string> names;   // "--dtype"; of an argument "CONFIG"
  bool argument = false;            // by its place on the line, not by a name
  bool takes_value = false;         // an option that does not is a flag
  bool required = false, repeated = false;
  std::string help, standard;       // standard: the value without it, "" where there is none
  std::vector<std::string> words;   // the values that are allowed, where they are listed
};

struct CommandInfo {
  std::string name, summary, footer;
  std::vector<OptionInfo> options;
  bool takes_keys = false;  // section.key=value behind CONFIG
  const OptionInfo* argument(size_t index) const;  // null: it has fewer
};

// In the order of `cohort help`; help and version are not among them.
std::vector<CommandInfo> command_tree();

}  // namespace cohort
