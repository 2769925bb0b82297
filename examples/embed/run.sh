#!/usr/bin/env bash
# usage: examples/embed/run.sh [CMake arguments, e.g. -DCMAKE_PREFIX_PATH=DIR]      writes into the current folder
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cmake -S "$here" -B embed "$@" > embed.log
cmake --build embed >> embed.log
embed/embed "$here/sums.yaml"
