#!/usr/bin/env bash
# Builds cohort with its benchmarks, sets up the peers, and runs all of it, one after the other; prints tables (bench/results.md keeps them).
# usage: scripts/bench.sh [--quick] [PART...]      parts: kernels decode long step linear; without any: all of them
# --quick: one round of few tokens, to see that everything works. MODEL=DIR: SmolLM2-135M-Instruct (default: models/SmolLM2-135M-Instruct).
# The peers (torch, transformers, TRL, llama.cpp) come from PyPI into build/peers; llama.cpp is compiled for this processor.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=
[[ ${1:-} == --quick ]] && { quick=1; shift; }
parts=("${@:-all}")
for part in "${parts[@]}"; do
  [[ " all kernels decode long step linear " == *" $part "* ]] ||
    { echo "bench: found '$part'; allowed: --quick and the parts kernels, decode, long, step, linear" >&2; exit 2; }
done
wanted() { [[ " ${parts[*]} " == *" all "* || " ${parts[*]} " == *" $1 "* ]]; }

model=${MODEL:-models/SmolLM2-135M-Instruct}
if wanted decode || wanted long || wanted step || wanted linear; then
  [[ -f $model/config.json && -n $(compgen -G "$model/*.safetensors") ]] ||
    { echo "bench: no model in $model; run scripts/get_smollm2.sh, or set MODEL to its folder" >&2; exit 1; }
fi
missing=()
for tool in cmake g++ python3; do command -v "$tool" > /dev/null || missing+=("$tool"); done
[[ ${#missing[@]} -eq 0 ]] || { echo "bench: not found: ${missing[*]}; scripts/install_deps.sh installs the compiler and CMake" >&2; exit 1; }
[[ -f /usr/include/benchmark/benchmark.h ]] || { echo "bench: no Google Benchmark; run scripts/install_deps.sh" >&2; exit 1; }
[[ -f /usr/include/dnnl.hpp ]] ||
  echo "bench: no oneDNN (Debian: libdnnl-dev): the bound of matrix products will be a loop of multiply-adds, which is higher" >&2

echo "== build"
cmake --preset release -DCOHORT_BENCH=ON --log-level=WARNING
cmake --build --preset release --target cohort machine_bound matmul_bench attention_bench rows_bench
build=$PWD/build cohort=$PWD/build/cohort

python=${PYTHON:-}
if [[ -z $python ]] && { wanted decode || wanted long || wanted step; }; then
  echo "== peers (build/peers)"
  python3 -c 'import venv, ensurepip' 2> /dev/null ||
    { echo "bench: python3 cannot make virtual environments; on Debian: apt-get install python3-venv, or set PYTHON to one with bench/peers/requirements.txt" >&2; exit 1; }
  python=$build/peers/bin/python
  [[ -x $python ]] || python3 -m venv "$build/peers"
  # A wheel would be made for any processor: this one is compiled for the one at hand, as cohort is.
  CMAKE_ARGS="-DGGML_NATIVE=ON -DMTMD_BUILD=OFF" CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) "$python" -m pip install --quiet --no-binary llama-cpp-python \
    -r bench/peers/requirements.txt ||
    { echo "bench: the peers could not be installed (network? see pip's message above); kernels and linear run without them" >&2; exit 1; }
fi
export PYTHON=${python:-python3} THREADS=${THREADS:-2}

if wanted kernels; then
  echo "== kernels, as shares of the machine's bounds"
  filter=(--benchmark_min_time=0.5)
  [[ -n $quick ]] && filter=(--benchmark_min_time=0.01)
  for program in matmul_bench attention_bench rows_bench; do
    "$build/bench/$program" "--threads=$THREADS" "${filter[@]}"
  done
fi
if wanted decode || wanted long; then
  if [[ -z ${GGUF:-} ]]; then
    export GGUF=$build/bench/model.gguf
    [[ $GGUF -nt $model/config.json ]] || "$PYTHON" bench/peers/to_gguf.py "$model" "$GGUF"
  fi
fi
if wanted decode; then
  echo "== decode and start-up"
  if [[ -n $quick ]]; then NEW=16 bench/peers/decode.sh "$cohort" "$model" 1; else bench/peers/decode.sh "$cohort" "$model" 5; fi
fi
if wanted long; then
  echo "== decode at a context of 2048, 16 sequences"
  if [[ -n $quick ]]; then NEW_LONG=8 "$PYTHON" bench/peers/decode.py "$cohort" "$model" 1 16@2048; else "$PYTHON" bench/peers/decode.py "$cohort" "$model" 5 16@2048; fi
fi
if wanted step; then
  echo "== a GRPO step"
  if [[ -n $quick ]]; then STEPS=3 bench/peers/grpo_step.sh "$cohort" "$model" 1 bf16; else bench/peers/grpo_step.sh "$cohort" "$model" 1; fi
fi
if wanted linear; then
  echo "== cost against work"
  if [[ -n $quick ]]; then NEW=8 SEQUENCES="64 256" WORK="1 4" "$PYTHON" bench/peers/linear_cost.py "$cohort" "$model" 1; else "$PYTHON" bench/peers/linear_cost.py "$cohort" "$model" 3; fi
fi
