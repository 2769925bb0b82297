#!/usr/bin/env bash
# usage: examples/own_data/run.sh      writes into the current folder
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cohort=${COHORT:-cohort}

echo "== what is in the files: exit code 3, as one problem is in both"
"$cohort" data check "$here/problems.jsonl" --eval "$here/held_back.jsonl" --columns "{prompt: question}" || echo "exit code $?"

echo "== without it"
head -n 1 "$here/held_back.jsonl" > held_back.jsonl
"$cohort" data check "$here/problems.jsonl" --eval held_back.jsonl --columns "{prompt: question}" --strict

echo "== five steps, and a report"
"$cohort" init jsonl > own_data.yaml
"$cohort" train own_data.yaml run.name=own_data run.resume=never "data.train=$here/problems.jsonl" data.eval=held_back.jsonl "data.columns={prompt: question}" \
  trainer.max_steps=5 trainer.prompts_per_step=2 rollout.max_completion_length=16
"$cohort" report runs/own_data
