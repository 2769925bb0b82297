#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion.h"

namespace cohort {
namespace {

// What follows the tables. `place`: how many arguments stand before the word that is completed.
constexpr const char* kRules = R"bash(  local valued_before=" $valued "
  if [[ $valued_before == *" $prev "* ]]; then
    if [[ -n $values ]]; then mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur"); else _cohort_files; fi
    return
  fi
  if [[ $cur == -* ]]; then mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur"); return; fi
  local place=0 i
  for ((i = 2; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -* || $valued_before == *" ${COMP_WORDS[i - 1]} "* ]] || place=$((place + 1))
  done
  if [[ -n $keyed ]] && ((place > 0)); then
    # The shell splits a word at its "=".
    local key=
    [[ $cur == "=" ]] && key=$prev cur=
    [[ $prev == "=" ]] && key=${COMP_WORDS[COMP_CWORD - 2]}
    if [[ -n $key ]]; then
      if [[ " $paths " == *" $key "* ]]; then _cohort_files; else mapfile -t COMPREPLY < <(compgen -W "$(_cohort_values "$key")" -- "$cur"); fi
      return
    fi
    compopt -o nospace 2> /dev/null
    mapfile -t COMPREPLY < <(compgen -S = -W "$keys" -- "$cur")
    return
  fi
  local words=
  _cohort_arguments "$command $place"
  if [[ -n $words ]]; then mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur"); else _cohort_files; fi
}
complete -F _cohort cohort
)bash";

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

// "    train) options=... valued=... keyed=1 ;;", and the values of the option before the cursor.
std::string command_case(const CommandInfo& command) {
  std::vector<std::string> options, valued;
  std::string values;
  for (const OptionInfo& option : command.options) {
    if (option.argument) continue;
    options.insert(options.end(), option.names.begin(), option.names.end());
    if (!option.takes_value) continue;
    valued.insert(valued.end(), option.names.begin(), option.names.end());
    if (!option.words.empty()) values += fmt::format(" {}) values=\"{}\" ;;", fmt::join(option.names, " | "), joined(option.words));
  }
  std::string text = fmt::format("    {}) options=\"{}\" valued=\"{}\"{}", command.name, joined(options), joined(valued),
                                 command.takes_keys ? " keyed=1" : "");
  if (!values.empty()) text += fmt::format("; case $prev in{} esac", values);
  return text + " ;;\n";
}

}  // namespace

std::string bash_completion(const std::vector<CommandInfo>& tree) {
  std::string text = "# bash completion of cohort, made by `cohort completion bash`\n_cohort_values() {  # KEY\n  case $1 in\n";
  for (const auto& [key, words] : key_words()) text += fmt::format("    {}) echo \"{}\" ;;\n", key, joined(words));
  text += "  esac\n}\n_cohort_files() {\n  compopt -o filenames 2> /dev/null\n  mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n}\n";
  text += "_cohort_arguments() {  # COMMAND PLACE: sets `words` where the argument is one of some words\n  case $1 in\n";
  for (const CommandInfo& command : tree) {
    for (size_t place = 0; const OptionInfo* argument = command.argument(place); ++place) {
      if (const std::vector<std::string> words = words_of(*argument); !words.empty())
        text += fmt::format("    \"{} {}\") words=\"{}\" ;;\n", command.name, place, joined(words));
    }
  }
  text += fmt::format("    \"help 0\") words=\"{}\" ;;\n  esac\n}}\n", joined(command_names(tree)));
  text += "_cohort() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}\n";
  text += fmt::format("  local keys=\"{}\"\n  local paths=\"{}\"\n", joined(key_paths()), joined(file_keys()));
  text += "  local options= valued= keyed= values=\n  COMPREPLY=()\n";
  text += fmt::format("  if ((COMP_CWORD == 1)); then mapfile -t COMPREPLY < <(compgen -W \"{} --help --version\" -- \"$cur\"); return; fi\n",
                      joined(command_names(tree)));
  text += "  case $command in\n";
  for (const CommandInfo& command : tree) text += command_case(command);
  return text + "  esac\n" + kRules;
}

}  // namespace cohort
