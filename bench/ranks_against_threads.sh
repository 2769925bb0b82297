#!/usr/bin/env bash
# Throughput of two ranks with one thread each against one rank with two threads: the same steps, in turn, the same bits; medians of steps.
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
steps_of() {  # NAME KEY: of all steps but the first, a line each
  tail -n +2 "$work/$1/metrics.jsonl" | sed -E "s/.*\"$2\":([0-9.e-]+).*/\1/"
}
median() { sort -g | awk '{ x[NR] = $1 } END { printf "%.3f", (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 }'; }
parts=(step rollout update comm)
for ((round = 1; round <= rounds; ++round)); do
  run "threads$round" 2
  run "ranks$round" 1 "${launch[@]}"
  "$program" compare "$work/threads$round" "$work/ranks$round" > /dev/null
  for part in "${parts[@]}"; do
    for which in threads ranks; do steps_of "$which$round" "timing_s\/$part" | tee -a "$work/$which.$part" > "$work/$which.now"; done
    printf 'round %d  %-8s 1 rank x 2 threads %8s s, 2 ranks x 1 thread %8s s\n' "$round" "$part" "$(median < "$work/threads.now")" "$(median < "$work/ranks.now")"
  done
done
for part in "${parts[@]}"; do
  printf 'median of %d steps  %-8s 1 rank x 2 threads %8s s, 2 ranks x 1 thread %8s s\n' "$(wc -l < "$work/ranks.$part")" "$part" "$(median < "$work/threads.$part")" "$(median < "$work/ranks.$part")"
done
echo "$(median < "$work/threads.step") $(median < "$work/ranks.step")" | awk '{ printf "throughput of 2 ranks with 1 thread each: %.2f of 1 rank with 2 threads (0.9 wanted)\n", $1 / $2 }'
