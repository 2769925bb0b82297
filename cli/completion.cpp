// cohort completion: a script for bash or zsh.
#include "cli/completion.h"

#include <fmt/format.h>

#include <memory>
#include <variant>

#include "cli/command.h"
#include "trainer/config_rewards.h"
#include "trainer/config_schema.h"

namespace cohort {

std::vector<std::string> command_names(const std::vector<CommandInfo>& tree) {
  std::vector<std::string> names;
  for (const CommandInfo& command : tree) names.push_back(command.name);
  names.insert(names.end(), {"help", "version"});
  return names;
}

std::vector<std::string> key_paths() {
  std::vector<std::string> paths;
  for (const KeyRow& key : config_keys()) paths.push_back(key.path());
  paths.emplace_back("reward");
  return paths;
}

std::vector<std::string> explained_paths() {
  std::vector<std::string> paths = key_paths();
  const std::vector<std::string> rewards = reward_paths();
  paths.insert(paths.end(), rewards.begin(), rewards.end());
  return paths;
}

std::vector<std::pair<std::string, std::vector<std::string>>> key_words() {
  std::vector<std::pair<std::string, std::vector<std::string>>> all;
  Config config = full_config();
  for (const KeyRow& key : config_keys()) {
    if (!key.words.empty()) all.emplace_back(key.path(), key.words);
    if (std::holds_alternative<bool*>(key.value(config))) all.emplace_back(key.path(), std::vector<std::string>{"true", "false"});
  }
  return all;
}

std::vector<std::string> file_keys() { return {"model.path", "data.train", "data.eval", "run.dir", "run.resume"}; }

std::vector<std::string> words_of(const OptionInfo& option) {
  if (option.words.empty() && option.names.front() == "KEY") return explained_paths();
  return option.words;
}

Action add_completion(App& app) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "for which shell").required().one_of({"bash", "zsh"});
  app.footer(
      "bash: cohort completion bash > ~/.local/share/bash-completion/completions/cohort\n"
      "zsh:  cohort completion zsh > _cohort, in a folder of $fpath\n"
      "For this shell alone: eval \"$(cohort completion bash)\"");
  return [shell] {
    const std::vector<CommandInfo> tree = command_tree();
    fmt::print("{}", *shell == "bash" ? bash_completion(tree) : zsh_completion(tree));
    return 0;
  };
}

}  // namespace cohort
