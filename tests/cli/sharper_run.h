// Runs on several ranks of a model that knows a few sums by heart, so that some of its completions are right and some are not.
#pragma once

#include <unistd.h>

#include <string>
#include <vector>

#include "tests/cli/run_cohort.h"

namespace cohort {

// Runs `mpirun -n RANKS cohort train FILE OVERRIDES...`.
inline Outcome train_on_ranks(int ranks, const std::string& file, const std::vector<std::string>& overrides) {
  std::vector<std::string> args = {"-n", std::to_string(ranks), "--oversubscribe", COHORT_BINARY, "train", file, "--quiet"};
  args.insert(args.end(), overrides.begin(), overrides.end());
  if (geteuid() == 0) args.insert(args.begin(), "--allow-run-as-root");  // Open MPI refuses root otherwise
  return run_program("mpirun", args);
}

// `text` must hold `from`.
inline std::string with_replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

// Five steps of so many prompts, a checkpoint every third.
inline std::string sharper_config(const std::string& runs, int prompts) {
  std::string text = with_replaced(tiny_config(runs), "train_size: 32", "train_size: 4");
  text = with_replaced(text, "logical_ranks: 2, save_steps: 2",
                       "logical_ranks: 4, save_steps: 3, warm_start: {steps: 60, problems_per_step: 4, learning_rate: 5.0e-3}");
  return with_replaced(text, "max_steps: 3, prompts_per_step: 2", "max_steps: 5, prompts_per_step: " + std::to_string(prompts));
}

}  // namespace cohort
