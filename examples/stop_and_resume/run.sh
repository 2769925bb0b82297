#!/usr/bin/env bash
# usage: examples/stop_and_resume/run.sh      writes into the current folder
set -euo pipefail
cohort=${COHORT:-cohort}
"$cohort" init arithmetic > sums.yaml
train=("$cohort" train sums.yaml --quiet trainer.warm_start.steps=20 trainer.prompts_per_step=8 trainer.eval_steps=0 trainer.save_steps=3 data.task.eval_size=16
       optim.lr_scheduler_type=constant optim.warmup_ratio=0)

echo "== six steps in one go"
"${train[@]}" run.name=whole run.resume=never trainer.max_steps=6
echo "== three steps with one thread, and the others with two"
"${train[@]}" run.name=parts run.resume=never trainer.max_steps=3 run.threads=1
"${train[@]}" run.name=parts run.resume=auto trainer.max_steps=6 run.threads=2
echo "== are they the same?"
"$cohort" compare runs/whole runs/parts
