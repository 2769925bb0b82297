#!/usr/bin/env bash
# Builds cohort and runs its tests; CTest's summary is the last thing printed.
# usage: scripts/test.sh [--sanitize | --emulated] [CTest arguments, e.g. -L cli or -R Generator]
#   --sanitize  all tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   --emulated  only the GPU code on the emulator: plain, under those two, and under ThreadSanitizer (docs/gpu.md)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=release
folder=build
if [[ ${1:-} == --sanitize ]]; then
  shift
  preset=sanitize
  folder=build-sanitize
  # Open MPI keeps memory until the process ends; that is no leak of ours. A request too large is null, as without sanitizers.
  export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
  export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
fi

if [[ ${1:-} == --emulated ]]; then
  shift
  preset=emulated
  set -- -L '^emulated' "$@"
fi

if [[ $(id -u) -eq 0 ]]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1  # for the tests that start mpirun
fi
export OMPI_MCA_rmaps_base_oversubscribe=1  # they use up to 8 ranks, whatever the cores
export OMP_NUM_THREADS=1                    # cohort has threads of its own

cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --test-dir "$folder" --output-on-failure -j2 "$@"
