#!/usr/bin/env bash
# Fuzzes the readers of hostile files (tests/fuzz) with libFuzzer under AddressSanitizer and UBSan.
# usage: scripts/fuzz.sh [SECONDS per target, default 120] [TARGET ..., default all, e.g. gguf]
# Needs clang++. What is found stays in build-fuzz/TARGET/ (crash-*, and the corpus for next time; runs: how many inputs so far).
# Targets of parsers (tests/fuzz/limits.h) abort above 64 MB and ten times 50 ms; without sanitizers, what was kept is then timed.
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

# The libraries that a target needs, in the order of linking.
libraries_of() {
  case $1 in
    math | math_parser | task | answers | code | schema | regex | shape) echo reward core ;;
    template) echo text core ;;
    *) echo model ops text formats reward core ;;
  esac
}
needed=()
for target in "${targets[@]}"; do needed+=($(libraries_of "$target")); done
cmake --build build-fuzz --target $(printf 'cohort_%s\n' "${needed[@]}" | sort -u)

for target in "${targets[@]}"; do
  echo "== $target: $seconds s"
  work=build-fuzz/$target
  mkdir -p "$work/corpus" "$work/seeds"
  clang++ -std=c++20 -g -O2 -fsanitize="fuzzer,$sanitizers" -fno-sanitize-recover=all -DFMT_SHARED -I. \
    "tests/fuzz/${target}_fuzz.cpp" $(libraries_of "$target" | sed 's#\([a-z]*\) *#build-fuzz/libcohort_\1.a #g') \
    -lfmt -lyaml-cpp -lutf8proc -lpcre2-8 -lxxhash -lgmp -lseccomp -lcurl -lcld2 -lz -o "$work/fuzz"
  FUZZ_SEEDS=$work/seeds "$work/fuzz" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048 -timeout=100 \
    -print_final_stats=1 -artifact_prefix="$work/" "$work/corpus" "$work/seeds" 2>&1 | tee "$work/log" | grep -v '^#' || true
  done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
  echo "${done:-0}" >> "$work/runs"
  grep -q 'ERROR: libFuzzer\|ERROR: AddressSanitizer\|runtime error' "$work/log" && { echo "fuzz: $target failed, see $work" >&2; exit 1; }
  echo "$target: $(awk '{ sum += $1 } END { print sum }' "$work/runs") inputs so far"
  if [[ -e build/libcohort_reward.a ]] && grep -q limits.h "tests/fuzz/${target}_fuzz.cpp"; then
    g++ -std=c++20 -O2 -I. "tests/fuzz/${target}_fuzz.cpp" tests/fuzz/replay_main.cpp \
      $(libraries_of "$target" | sed 's#\([a-z]*\) *#build/libcohort_\1.a #g') \
      -lfmt -lyaml-cpp -lutf8proc -lpcre2-8 -lxxhash -lgmp -lseccomp -lcurl -lcld2 -lz -o "$work/replay"
    FUZZ_SEEDS= "$work/replay" "$work/corpus"
  fi
done
