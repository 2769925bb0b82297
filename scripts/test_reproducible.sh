#!/usr/bin/env bash
# Builds a target of the committed source twice, in two folders at different paths and without the compiler cache, and compares the bytes.
# usage: scripts/test_reproducible.sh [TARGET]      default: cohort_core and cohort_comm; `cohort` is the program, and takes as long as two builds
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
targets=("$@")
[[ $# -gt 0 ]] || targets=(cohort_core cohort_comm)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CCACHE_DISABLE=1
for folder in "$work/one" "$work/another/deeper"; do
  mkdir -p "$folder"
  git archive HEAD | tar -x -C "$folder"
  cmake -S "$folder" --preset package > "$work/configure.log"
  cmake --build "$folder/build-package" --target "${targets[@]}" > "$work/build.log" || { tail -n 20 "$work/build.log"; exit 1; }
done
cd "$work/one/build-package"
different=0
for target in "${targets[@]}"; do
  file=lib$target.a
  [[ -e $file ]] || file=$target
  if cmp "$file" "$work/another/deeper/build-package/$file"; then echo "$file: the same $(stat -c %s "$file") bytes"; else different=1; fi
  if grep -q "$work" "$file"; then echo "$file holds the path of its source"; different=1; fi
done
exit $different
