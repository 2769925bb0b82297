#include "cli/app_tree.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"

namespace cohort {

const OptionInfo* CommandInfo::argument(size_t index) const {
  for (const OptionInfo& option : options)
    if (option.argument && index-- == 0) return &option;
  return nullptr;
}

std::vector<CommandInfo> command_tree() {
  std::vector<CommandInfo> tree;
  for (const Command& command : commands()) {
    App app(std::string(command.summary), fmt::format("cohort {}", command.name));
    const Action action = command.add(app);  // owns what the options point to
    CommandInfo info{.name = std::string(command.name), .summary = std::string(command.summary), .options = app.options(), .footer = app.footer()};
    info.takes_keys = std::ranges::any_of(info.options, [](const OptionInfo& o) { return o.names.front() == "section.key=value"; });
    tree.push_back(std::move(info));
  }
  return tree;
}

}  // namespace cohort
