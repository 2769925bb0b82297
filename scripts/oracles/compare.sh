#!/usr/bin/env bash
# Compares cohort with transformers on a real model: tensors of the import, log-probs, greedy continuations.
#
#   scripts/oracles/compare.sh COHORT MODEL_DIR ORACLE_MODEL_DIR ORACLE_DIR
#
# PYTHON (default python3) has bench/peers/requirements.txt installed. ORACLE_MODEL_DIR is made by gguf_to_hf.py; ORACLE_DIR
# is filled at the first run (input by make_input.py, transformers' answers) and used again afterwards.
set -uo pipefail

if [ $# -ne 4 ]; then
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
  exit 2
fi
cohort=$1 model=$2 oracle_model=$3 out=$4
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
failed=0
check() { "$@" || failed=1; }

mkdir -p "$out"
[ -f "$out/prompts.jsonl" ] || "$python" "$here/make_input.py" "$oracle_model" "$out" || exit 1
for kind in "" _text; do
  [ -f "$out/logprobs$kind.jsonl" ] ||
    "$python" "$here/logprobs.py" "$oracle_model" --input "$out/input$kind.jsonl" --output "$out/logprobs$kind.jsonl" || exit 1
  [ -f "$out/greedy$kind.jsonl" ] ||
    "$python" "$here/greedy.py" "$oracle_model" --input "$out/prompts$kind.jsonl" --output "$out/greedy$kind.jsonl" || exit 1
done

echo "== the imported model against the oracle's"
check "$python" "$here/compare_tensors.py" "$oracle_model" "$model"
for kind in "" _text; do
  echo "== log-probs, input$kind.jsonl, float32"
  check "$cohort" logprobs "$model" --dtype float32 --input "$out/input$kind.jsonl" --output "$out/cohort_logprobs$kind.jsonl"
  check "$python" "$here/compare_logprobs.py" "$out/logprobs$kind.jsonl" "$out/cohort_logprobs$kind.jsonl"
  echo "== greedy continuations, prompts$kind.jsonl, float32"
  check "$cohort" generate "$model" --dtype float32 --temperature 0 --max-completion-length 48 \
    --input "$out/prompts$kind.jsonl" --output "$out/cohort_greedy$kind.jsonl"
  check "$python" "$here/compare_greedy.py" "$out/greedy$kind.jsonl" "$out/cohort_greedy$kind.jsonl"
done
exit $failed
