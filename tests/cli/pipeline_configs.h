// Configs of the stages of small pipelines, each of which takes a moment.
#pragma once

#include <sstream>
#include <string>

#include "tests/cli/run_cohort.h"

namespace cohort {

inline const std::string kBase = R"(
run: {threads: 1}
model:
  init: {hidden_size: 32, intermediate_size: 64, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 64}
  dtype: float32
data:
  task: {name: addition, seed: 1, train_size: 24, eval_size: 8}
sft: {examples_per_step: 8, max_length: 48}
optim: {learning_rate: 3.0e-3}
trainer: {max_steps: 12, logical_ranks: 2, save_steps: 4}
)";
// Completions of some lengths are right, so that filters have something to keep and to leave out.
inline const std::string kRl = R"(
run: {threads: 1}
model: {path: none, dtype: float32}
data:
  task: {name: addition, seed: 1, train_size: 24, eval_size: 8}
  max_prompt_length: 32
reward:
  - {name: length, min_length: 2, max_length: 6}
rollout: {num_generations: 4, max_completion_length: 8}
optim: {learning_rate: 1.0e-3}
trainer: {max_steps: 4, prompts_per_step: 4, logical_ranks: 2, save_steps: 2}
)";
inline const std::string kSft = R"(
run: {threads: 1}
model: {path: none, dtype: float32}
data: {train: none.jsonl}
sft: {examples_per_step: 8, max_length: 48, num_train_epochs: 1}
optim: {learning_rate: 1.0e-3}
trainer: {logical_ranks: 2, save_steps: 1}
)";

// Lines of the table that say the stage was there already.
inline int there(const Outcome& outcome) {
  int count = 0;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) count += line.find(" there  ") != std::string::npos ? 1 : 0;
  return count;
}

}  // namespace cohort
