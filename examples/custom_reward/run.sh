#!/usr/bin/env bash
# usage: examples/custom_reward/run.sh [CMake arguments, e.g. -DCMAKE_PREFIX_PATH=DIR]      writes into the current folder
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cohort=${COHORT:-cohort}
cmake -S "$here" -B custom_reward "$@" > custom_reward.log
cmake --build custom_reward >> custom_reward.log

echo "== scores without a model"
printf '%s\n' '{"completion": "aeiou"}' '{"completion": "strength"}' | "$cohort" score "$here/vowels.yaml" --explain
echo "== training: more and more vowels"
"$cohort" train "$here/vowels.yaml"
