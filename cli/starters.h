// Configs to begin with (`cohort init`), each with what it needs to run at once.
#pragma once

#include <span>
#include <string_view>

namespace cohort {

struct Starter {
  std::string_view name, summary;
  std::string_view config;  // YAML with comments
  std::string_view rows;    // JSONL for its data.train; empty: a built-in task makes its problems
  std::string_view command = "train";        // what reads it
  std::string_view file = "problems.jsonl";  // what its data.train is called
};
std::span<const Starter> starters();

}  // namespace cohort
