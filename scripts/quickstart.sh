#!/usr/bin/env bash
# From a fresh clone to a trained model: dependencies, build, and a first GRPO run on two ranks.
# Arguments go to `cohort train`, e.g. scripts/quickstart.sh trainer.max_steps=5
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

echo "== dependencies"
scripts/install_deps.sh

echo "== build (build/cohort)"
cmake --preset release --log-level=WARNING
cmake --build --preset release --target cohort

ranks=2
mpirun=(mpirun -n "$ranks" --bind-to none)  # cohort shares the cores out itself
if [[ $(id -u) -eq 0 ]]; then
  mpirun+=(--allow-run-as-root)  # Open MPI refuses root otherwise
fi
if [[ $(nproc) -lt $ranks ]]; then
  mpirun+=(--oversubscribe)      # more ranks than cores: slower, same result
fi

echo "== train: configs/quickstart.yaml on $ranks ranks"
export OMP_NUM_THREADS=1  # cohort has threads of its own
exec "${mpirun[@]}" build/cohort train configs/quickstart.yaml "$@"
