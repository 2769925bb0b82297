#!/usr/bin/env bash
# What logging takes of a run's steps: timing_s/log (metrics, completions, event files, hooks, events.jsonl, progress) of timing_s/step.
# usage: bench/log_overhead.sh RUN ...     (COHORT: the program, default build/cohort)
set -euo pipefail
cohort=${COHORT:-"$(dirname "${BASH_SOURCE[0]}")/../build/cohort"}
[[ $# -gt 0 ]] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
for run in "$@"; do
  "$cohort" metrics "$run" | awk -F, -v run="$run" '
    NR == 1 { for (i = 1; i <= NF; ++i) column[$i] = i; next }
    { log_s += $column["timing_s/log"]; step_s += $column["timing_s/step"]; ++steps }
    END { printf "%-30s %5d steps  %9.3f ms a step  logging %7.3f ms  %.3f %%\n", run, steps, 1e3 * step_s / steps, 1e3 * log_s / steps, 100 * log_s / step_s }'
done
