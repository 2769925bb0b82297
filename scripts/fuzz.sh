#!/usr/bin/env bash
# Fuzzes the readers of hostile files (tests/fuzz) with libFuzzer under AddressSanitizer and UBSan.
# usage: scripts/fuzz.sh [SECONDS per target, default 120] [TARGET ..., default all, e.g. gguf]
# Needs clang++. What is found stays in build-fuzz/TARGET/ (crash-*, and the corpus for next time).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v clang++ > /dev/null; then
  echo "fuzz: clang++ is not installed (Debian: apt-get install clang); nothing done" >&2
  exit 1
fi
seconds=${1:-120}
shift || true
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
  for source in tests/fuzz/*_fuzz.cpp; do
    targets+=("$(basename "$source" _fuzz.cpp)")
  done
fi

sanitizers=address,undefined
cmake -S . -B build-fuzz -G Ninja --log-level=WARNING -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCOHORT_TESTS=OFF \
  -DCOHORT_SANITIZE="fuzzer-no-link,$sanitizers" -DCMAKE_CXX_FLAGS=-Wno-unknown-warning-option
cmake --build build-fuzz --target cohort_model cohort_reward

for target in "${targets[@]}"; do
  echo "== $target: $seconds s"
  work=build-fuzz/$target
  mkdir -p "$work/corpus" "$work/seeds"
  clang++ -std=c++20 -g -O2 -fsanitize="fuzzer,$sanitizers" -fno-sanitize-recover=all -DFMT_SHARED -I. \
    "tests/fuzz/${target}_fuzz.cpp" build-fuzz/libcohort_{model,ops,text,formats,reward,core}.a \
    -lfmt -lyaml-cpp -lutf8proc -lpcre2-8 -lxxhash -lgmp -lseccomp -lcurl -o "$work/fuzz"
  FUZZ_SEEDS=$work/seeds "$work/fuzz" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048 -timeout=10 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/corpus" "$work/seeds"
done
