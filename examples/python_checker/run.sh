#!/usr/bin/env bash
# usage: examples/python_checker/run.sh      writes into the current folder
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cohort=${COHORT:-cohort}
cat > letters.yaml <<CONFIG
run: {name: letters, resume: never}
model:
  init: {hidden_size: 64, intermediate_size: 192, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 64}
  dtype: float32
data:
  task: {name: reverse, train_size: 64, eval_size: 8}
  max_prompt_length: 32
reward:
  - {name: command, label: letters, command: [python3, "$here/checker.py"]}
rollout: {num_generations: 8, max_completion_length: 12}
optim: {learning_rate: 1.0e-3}
trainer: {warm_start: {steps: 100}, max_steps: 20, prompts_per_step: 8}
CONFIG

echo "== scores without a model"
printf '%s\n' '{"completion": "abcdef"}' '{"completion": "aaa"}' | "$cohort" score letters.yaml --explain
echo "== training: the reward rises"
"$cohort" train letters.yaml
