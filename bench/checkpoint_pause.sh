#!/usr/bin/env bash
# How long a run stands still for its checkpoints, against how long writing them takes: 106 M parameters from scratch, 1.3 GB a
# checkpoint, one after each of STEPS steps; medians.
# usage: bench/checkpoint_pause.sh [RANKS, default 1]      PROGRAM: build/cohort; STEPS: 6; WORK: a folder on the disk to be measured
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ranks=${1:-1}
program=$(realpath "${PROGRAM:-build/cohort}")
work=$(mktemp -d -p "${WORK:-/tmp}")
trap 'rm -rf "$work"' EXIT
cat > "$work/config.yaml" <<YAML
run: {name: pause, dir: $work/runs}
model:
  init: {hidden_size: 576, intermediate_size: 1536, num_layers: 30, num_heads: 9, num_kv_heads: 3, max_positions: 256}
  dtype: bfloat16
data: {task: {name: addition, seed: 1, train_size: 64, eval_size: 8}, max_prompt_length: 32}
reward: [{name: length, max_length: 32}]
rollout: {num_generations: 8, max_completion_length: 64}
algorithm: {scale_rewards: none}
optim: {learning_rate: 1.0e-6}
trainer: {max_steps: ${STEPS:-6}, prompts_per_step: 8, logical_ranks: 8, save_steps: 1, save_total_limit: 1, eval_before: false}
YAML
launch=()
if [[ $ranks -gt 1 ]]; then
  launch=(mpirun --oversubscribe --bind-to none -n "$ranks")
  if [[ $(id -u) -eq 0 ]]; then launch+=(--allow-run-as-root); fi
fi
"${launch[@]}" "$program" train "$work/config.yaml" --quiet > /dev/null
# A step's line tells of the last checkpoint that was complete when it ended; in the first two there is none.
sed -E 's/.*"step":([0-9]+).*"timing_s\/checkpoint":([0-9.e-]+),"timing_s\/checkpoint_write":([0-9.e-]+).*"timing_s\/step":([0-9.e-]+).*/\1 \2 \3 \4/' \
  "$work/runs/pause/metrics.jsonl" | awk -v ranks="$ranks" '
  function median(x, n,   i, j, t) {
    for (i = 2; i <= n; ++i) for (j = i; j > 1 && x[j] < x[j - 1]; --j) { t = x[j]; x[j] = x[j - 1]; x[j - 1] = t }
    return (x[int((n + 1) / 2)] + x[int(n / 2) + 1]) / 2
  }
  NR > 2 {
    printf "step %d: stood still %.3f s, writing took %.3f s (%.1f %%), step %.2f s\n", $1, $2, $3, 100 * $2 / $3, $4
    ++n; still[n] = $2; write[n] = $3; share[n] = 100 * $2 / $3
  }
  END {
    printf "%d ranks, median of %d steps: stood still %.3f s, writing took %.3f s; of its writing a checkpoint stood still %.1f %% (5 allowed)\n",
           ranks, n, median(still, n), median(write, n), median(share, n)
  }'
