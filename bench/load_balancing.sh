#!/usr/bin/env bash
# What rollout.load_balancing: work_stealing gains on two ranks where completions are of ragged lengths: prompts that ask for a number
# and prompts that ask for a story, in random order; static and stealing in turn, the same bits.
# usage: bench/load_balancing.sh [MODEL, default models/SmolLM2-135M-Instruct] [ROUNDS, default 2]
# PROGRAM: build/cohort; SEQS: rollout.max_num_seqs, default 16; PROMPTS: a step, 16; TOKENS: of a completion at most, 192; STEPS: 4 a run, of which
# the first, that takes memory, does not count; BEFORE: a command that each run is started by;
# KINDS: which of the two
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
model=$(realpath "${1:-models/SmolLM2-135M-Instruct}")
rounds=${2:-2} seqs=${SEQS:-16} steps=${STEPS:-4}
program=$(realpath "${PROGRAM:-build/cohort}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for i in $(seq 1 32); do
  printf '{"prompt": [{"role": "user", "content": "What is %d + %d? Answer with the number only."}], "answer": "%d"}\n' $i $((i + 3)) $((2 * i + 3))
  printf '{"prompt": [{"role": "user", "content": "Tell a long story about %d sailors."}], "answer": "0"}\n' $((i + 1))
done > "$work/data.jsonl"
cat > "$work/config.yaml" <<YAML
run: {name: run, dir: $work, threads: 1}
model: {path: $model, dtype: bfloat16}
data: {train: $work/data.jsonl, max_prompt_length: 64}
reward: [{name: length, max_length: 32}]
algorithm: {scale_rewards: none}
rollout: {num_generations: 8, max_completion_length: ${TOKENS:-192}, max_num_seqs: $seqs}
optim: {learning_rate: 1.0e-6}
trainer: {max_steps: $steps, prompts_per_step: ${PROMPTS:-16}, logical_ranks: 8, eval_before: false}
log: {completions_steps: 0}
YAML
launch=(mpirun --oversubscribe --bind-to none -n 2)
if [[ $(id -u) -eq 0 ]]; then launch+=(--allow-run-as-root); fi
mean() {  # NAME KEY: of all steps but the first
  tail -n +2 "$work/$1/metrics.jsonl" | sed -nE "s#.*\"$2\":([0-9.e-]+).*#\1#p" | awk '{ sum += $1 } END { if (NR > 0) printf "%.3f", sum / NR; else printf "-" }'
}
for ((round = 1; round <= rounds; ++round)); do
  for kind in ${KINDS:-static work_stealing}; do
    name=$kind$round
    ${BEFORE:-} "${launch[@]}" "$program" train "$work/config.yaml" run.name=$name rollout.load_balancing=$kind --quiet > /dev/null
    echo "$kind: rollout $(mean $name timing_s/rollout) s, update $(mean $name timing_s/update) s, step $(mean $name timing_s/step) s;" \
      "occupancy $(mean $name perf/rollout_batch_occupancy), rows reused $(mean $name perf/reused_rows), stolen $(mean $name perf/stolen_completions)"
  done
  if [[ -d $work/static$round && -d $work/work_stealing$round ]]; then "$program" compare "$work/static$round" "$work/work_stealing$round" | tail -n 1; fi
done
