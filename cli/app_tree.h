// The commands and their options as data: what shell completion and the man page are made from.
#pragma once

#include <string>
#include <vector>

#include "cli/app.h"

namespace cohort {

struct CommandInfo {
  std::string name, summary;
  std::vector<OptionInfo> options;
  std::string footer;
  bool takes_keys = false;  // section.key=value behind CONFIG
  const OptionInfo* argument(size_t index) const;  // null: it has fewer
};

// In the order of `cohort help`; help and version are not among them.
std::vector<CommandInfo> command_tree();

}  // namespace cohort
