// Completion scripts for shells: commands, options and their words, and behind CONFIG the keys of the config.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/app_tree.h"

namespace cohort {

std::string bash_completion(const std::vector<CommandInfo>& tree);
std::string zsh_completion(const std::vector<CommandInfo>& tree);

// "train", ..., and those that are not in the tree.
std::vector<std::string> command_names(const std::vector<CommandInfo>& tree);
// "trainer.max_steps", ...
std::vector<std::string> key_paths();
// The same, and "reward.math", "reward.math.mode", ...: what `cohort explain` knows.
std::vector<std::string> explained_paths();
// Keys whose values are words, with the words.
std::vector<std::pair<std::string, std::vector<std::string>>> key_words();
// Keys whose values name files or folders.
std::vector<std::string> file_keys();
// The words that an argument or option takes: those it lists, or for KEY those of the config.
std::vector<std::string> words_of(const OptionInfo& option);

}  // namespace cohort
