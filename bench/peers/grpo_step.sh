#!/usr/bin/env bash
# A GRPO step of cohort against TRL's: the same model, problems, lengths and cores, the contenders in turn.
# usage: bench/peers/grpo_step.sh COHORT MODEL_DIR [ROUNDS] [TRL_MODE...]      (PYTHON: one with bench/peers/requirements.txt)
# Every group is trained on, also those without a signal. Prints a line a run, then medians and ratios.
set -euo pipefail
[[ $# -ge 2 ]] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
cohort=$(realpath "$1") model=$(realpath "$2") rounds=${3:-3}
shift $(( $# < 3 ? $# : 3 ))
modes=("${@:-default}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The problems: those that the config's built-in task would give.
"$python" - "$work/sums.jsonl" <<'PY'
import json, random, sys
rng = random.Random(0)
with open(sys.argv[1], "w") as out:
    for _ in range(64):
        a, b = rng.randint(1, 99), rng.randint(1, 99)
        text = f"State the final answer to the following arithmetic problem: {a} + {b} ="
        out.write(json.dumps({"prompt": [{"role": "user", "content": text}], "answer": str(a + b)}) + "\n")
PY

for ((round = 1; round <= rounds; ++round)); do
  for mode in "${modes[@]}"; do
    "$python" "$here/trl_grpo.py" "$model" --steps 3 --mode "$mode" --data "$work/sums.jsonl" --seed "$round" > "$work/trl_${mode}_$round.jsonl"
    tail -n 1 "$work/trl_${mode}_$round.jsonl"
  done
  OMP_NUM_THREADS=1 "$cohort" train "$here/../../configs/smollm2-arithmetic.yaml" --quiet "model.path=$model" "run.dir=$work/runs" \
    run.resume=never "run.seed=$round" data.task=null "data.train=$work/sums.jsonl" trainer.skip_zero_advantage=false \
    trainer.eval_before=false trainer.eval_steps=0 trainer.save_steps=0 trainer.max_steps=5 > /dev/null
  cp "$work/runs/smollm2-arithmetic/metrics.jsonl" "$work/cohort_$round.jsonl"
done

"$python" - "$work" <<'PY'
import glob, json, os, statistics, sys
rows = {}
for file in sorted(glob.glob(os.path.join(sys.argv[1], "*_*.jsonl"))):
    name = os.path.basename(file).rsplit("_", 1)[0]
    lines = [json.loads(line) for line in open(file)]
    steps = [l for l in lines if "step" in l][1:]  # without the first: allocation and warm-up
    if name == "cohort":
        got = [(s["timing_s/step"], s["completions/mean_length"] * 32, s["perf/peak_memory_gb"]) for s in steps]
    else:
        memory = lines[-1]["peak_memory_gb"]
        got = [(s["seconds"], s["tokens"], memory) for s in steps]
    rows.setdefault(name, []).extend(got)
print(f"{'':14}{'s/step':>9}{'tokens':>9}{'ms/token':>10}{'GB':>7}   (medians)")
per_token = {}
for name, got in rows.items():
    seconds, tokens, memory = (statistics.median(column) for column in zip(*got))
    per_token[name] = statistics.median(s / t for s, t, _ in got)
    print(f"{name:14}{seconds:9.2f}{tokens:9.0f}{1000 * per_token[name]:10.2f}{memory:7.1f}")
for name in rows:
    if name != "cohort":
        print(f"cohort is {per_token[name] / per_token['cohort']:.1f} times faster than {name}, for each token of a step")
PY
