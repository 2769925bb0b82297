#!/usr/bin/env bash
# Throughput of two ranks with one thread each against one rank with two threads: the same steps, in turn, the same bits.
# usage: bench/ranks_against_threads.sh [MODEL, default models/SmolLM2-135M-Instruct] [ROUNDS, default 3]
# PROGRAM: build/cohort; STEPS: 4 a run, of which the first, that takes memory, does not count; BEFORE: a command that each run is started by
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
model=$(realpath "${1:-models/SmolLM2-135M-Instruct}")
rounds=${2:-3}
steps=${STEPS:-4}
program=$(realpath "${PROGRAM:-build/cohort}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
launch=(mpirun --oversubscribe --bind-to none -n 2)
if [[ $(id -u) -eq 0 ]]; then launch+=(--allow-run-as-root); fi

run() {  # NAME THREADS LAUNCHER...
  local name=$1 threads=$2
  shift 2
  ${BEFORE:-} "$@" "$program" train configs/smollm2-arithmetic.yaml model.path="$model" run.dir="$work" run.name="$name" run.threads="$threads" \
    rollout.max_completion_length=64 algorithm.scale_rewards=none 'reward=[{name: length, max_length: 32}]' \
    trainer.prompts_per_step=8 trainer.eval_before=false trainer.eval_steps=0 trainer.save_steps=0 trainer.max_steps="$steps" data.max_eval_samples=2 \
    log.completions_steps=0 --quiet > /dev/null
}
seconds() {  # NAME KEY: of all steps but the first
  tail -n +2 "$work/$1/metrics.jsonl" | sed -E "s/.*\"$2\":([0-9.e-]+).*/\1/" | awk '{ sum += $1 } END { printf "%.3f", sum }'
}
for ((round = 1; round <= rounds; ++round)); do
  run "threads$round" 2
  run "ranks$round" 1 "${launch[@]}"
  "$program" compare "$work/threads$round" "$work/ranks$round" > /dev/null
  for part in step rollout update comm; do
    printf 'round %d  %-8s 1 rank x 2 threads %8s s, 2 ranks x 1 thread %8s s\n' "$round" "$part" "$(seconds "threads$round" "timing_s\/$part")" "$(seconds "ranks$round" "timing_s\/$part")"
  done
  echo "$(seconds "threads$round" "timing_s\/step") $(seconds "ranks$round" "timing_s\/step")" >> "$work/ratios"
done
awk '{ threads += $1; ranks += $2 } END { printf "throughput of 2 ranks with 1 thread each: %.2f of 1 rank with 2 threads (0.9 wanted)\n", threads / ranks }' "$work/ratios"
