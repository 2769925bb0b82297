#include "cli/app_tree.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"

namespace cohort {
namespace {

// CLI::IsMember describes itself as "{auto,float32,bfloat16}"; other checks have other forms.
std::vector<std::string> listed_words(const CLI::Option& option) {
  const std::string text = option.get_type_name();
  const size_t open = text.find('{'), close = text.rfind('}');
  std::vector<std::string> words;
  if (open == std::string::npos || close == std::string::npos || close < open) return words;
  for (size_t at = open + 1; at < close;) {
    const size_t end = std::min(text.find(',', at), close);
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

OptionInfo option_info(const CLI::Option& option) {
  OptionInfo info{.argument = option.get_positional(),
                  .takes_value = option.get_items_expected_max() > 0,
                  .required = option.get_required(),
                  .repeated = option.get_items_expected_max() > 1,
                  .help = option.get_description(),
                  .standard = option.get_default_str(),
                  .words = listed_words(option)};
  if (info.argument) {
    info.names.push_back(option.get_name(true));
  } else {
    for (const std::string& name : option.get_snames()) info.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) info.names.push_back("--" + name);
  }
  return info;
}

}  // namespace

const OptionInfo* CommandInfo::argument(size_t index) const {
  for (const OptionInfo& option : options)
    if (option.argument && index-- == 0) return &option;
  return nullptr;
}

std::vector<CommandInfo> command_tree() {
  std::vector<CommandInfo> tree;
  for (const Command& command : commands()) {
    CLI::App app(std::string(command.summary), fmt::format("cohort {}", command.name));
    const Action action = command.add(app);  // owns what the options point to
    CommandInfo info{.name = std::string(command.name), .summary = std::string(command.summary), .footer = app.get_footer()};
    for (const CLI::Option* option : app.get_options()) info.options.push_back(option_info(*option));
    info.takes_keys = std::ranges::any_of(info.options, [](const OptionInfo& o) { return o.names.front() == "section.key=value"; });
    tree.push_back(std::move(info));
  }
  return tree;
}

}  // namespace cohort
