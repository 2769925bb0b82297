// Languages as command lines: how a program's text becomes a run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reward/reward.h"

namespace cohort {

struct Language {
  std::string name;
  std::vector<std::string> fences;   // tags of code blocks that hold it: ```python
  std::string source;                // the file in /box that the text is written to
  std::vector<std::string> compile;  // a command that makes `artifact` in /box from it; empty: the source runs as it is
  std::string artifact;
  std::vector<std::string> run;
  std::vector<std::string> binds;        // SandboxProgram's
  std::vector<std::string> environment;  // SandboxProgram's
  int64_t address_space_mb =
      0;  // of a process; 0: twice the memory. Run times that reserve much more than they use need more
};

// The language that the options `language` (default python) and `languages` name: python, cpp, or an entry of the map
// `languages` {NAME: {source, run, fences?, compile?, artifact?, binds?, environment?, address_space_mb?}}. Throws
// (exit code 2) for anything else.
Language find_language(const RewardSpec& spec);
// Throws (exit code 2) where this host has no program at the first word of a command.
void require_installed(const Language& language);

// The last closed code block (``` or ~~~ on lines of their own) with one of the language's tags, else the last without
// a tag. What stands before </think> does not count. Nothing when there is no such block.
std::optional<std::string> last_code_block(std::string_view completion, const Language& language);

}  // namespace cohort
