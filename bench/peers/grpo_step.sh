#!/usr/bin/env bash
# A GRPO step of cohort against TRL's: the same model, problems, lengths and cores, the contenders in turn.
# usage: bench/peers/grpo_step.sh COHORT MODEL_DIR [ROUNDS] [TRL_MODE...]      (PYTHON: one with bench/peers/requirements.txt)
# Modes: bf16 default float32 autocast, without any: all of them. STEPS=6 steps a run (twice as many of cohort), the first not counted.
set -euo pipefail
[[ $# -ge 2 ]] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
[[ -x $1 ]] || { echo "grpo_step: no program $1; build it: cmake --build --preset release --target cohort" >&2; exit 1; }
[[ -f $2/config.json ]] || { echo "grpo_step: $2 is no Hugging Face folder; get one: scripts/get_smollm2.sh" >&2; exit 1; }
for module in torch transformers trl datasets; do
  "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$module') is None)" ||
    { echo "grpo_step: $python has no module $module; scripts/bench.sh sets up one that has (bench/peers/requirements.txt)" >&2; exit 1; }
done
exec "$python" "$here/grpo_step.py" "$@"
