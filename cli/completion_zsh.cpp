#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion.h"

namespace cohort {
namespace {

// Within single quotes, and within the fields of _arguments and _describe, which end at ":" and "]".
std::string field(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      if (c == ':' || c == '[' || c == ']' || c == '\\') out += '\\';
      out += c == '\n' ? ' ' : c;
    }
  }
  return out;
}

std::string action(const OptionInfo& option) {
  if (option.names.front() == "KEY") return "_cohort_paths";
  if (!option.words.empty()) return fmt::format("({})", fmt::join(option.words, " "));
  return "_files";
}

std::string argument_spec(const OptionInfo& option, const CommandInfo& command) {
  if (option.names.front() == "section.key=value") return " '*:key:_cohort_keys'";
  size_t place = 1;
  for (const OptionInfo& other : command.options) {
    if (&other == &option) break;
    if (other.argument) ++place;
  }
  return fmt::format(" '{}:{}:{}'", option.repeated ? "*" : std::to_string(place), field(option.names.front()), action(option));
}

std::string option_specs(const OptionInfo& option) {
  std::string text;
  for (const std::string& name : option.names) {
    const bool long_name = name.starts_with("--");
    text += fmt::format(" '{}{}{}[{}]{}'", option.repeated ? "*" : "", name, option.takes_value && long_name ? "=" : "", field(option.help),
                        option.takes_value ? ":value:" + action(option) : "");
  }
  return text;
}

}  // namespace

std::string zsh_completion(const std::vector<CommandInfo>& tree) {
  std::string text = "#compdef cohort\n# zsh completion of cohort, made by `cohort completion zsh`\n";
  text += fmt::format("_cohort_paths() {{ compadd -- {} }}\n", fmt::join(explained_paths(), " "));
  text += "_cohort_keys() {\n  local key=${words[CURRENT]%%=*}\n  if compset -P 1 '*='; then\n    case $key in\n";
  for (const auto& [key, words] : key_words()) text += fmt::format("      {}) compadd -- {} ;;\n", key, fmt::join(words, " "));
  text += fmt::format("      {}) _files ;;\n", fmt::join(file_keys(), " | "));
  text += fmt::format("    esac\n  else\n    compadd -S = -- {}\n  fi\n}}\n", fmt::join(key_paths(), " "));
  text += "_cohort() {\n  local -a commands=(\n";
  for (const CommandInfo& command : tree) text += fmt::format("    '{}:{}'\n", command.name, field(command.summary));
  text += "    'help:the commands, or one of them'\n    'version:the version and how it was built'\n  )\n";
  text += "  if ((CURRENT == 2)); then _describe command commands; return; fi\n";
  text += "  local command=$words[2]\n  shift words\n  ((CURRENT--))\n  case $command in\n";
  for (const CommandInfo& command : tree) {
    text += fmt::format("    {}) _arguments", command.name);
    for (const OptionInfo& option : command.options) text += option.argument ? argument_spec(option, command) : option_specs(option);
    text += " ;;\n";
  }
  text += "    help) _describe command commands ;;\n  esac\n}\n";
  return text + "if [[ $funcstack[1] == _cohort ]]; then _cohort \"$@\"; else compdef _cohort cohort; fi\n";
}

}  // namespace cohort
