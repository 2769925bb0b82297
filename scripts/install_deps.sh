#!/usr/bin/env bash
# Installs the Debian 12 packages that cohort is built from. Does nothing when all of them are there.
# usage: scripts/install_deps.sh [--slurm]      --slurm: also what scripts/test_slurm.sh needs
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache     # compiler and build
  openmpi-bin libopenmpi-dev       # start and connect ranks
  libyaml-cpp-dev                  # config files
  nlohmann-json3-dev               # JSON: data sets, metrics, model configs
  libcli11-dev                     # command line
  libfmt-dev                       # messages
  libutf8proc-dev                  # Unicode categories and normal forms for tokenizers
  libpcre2-dev                     # the patterns of tokenizers
  libxxhash-dev                    # checksums of checkpoints
  zlib1g-dev                       # data files packed with gzip
  libhwloc-dev                     # which cores there are, for placing threads
  libgmp-dev                       # exact numbers of the math reward
  libseccomp-dev                   # which system calls programs of the reward `code` may make
  libcurl4-openssl-dev             # the reward `http`
  libcld2-dev                      # the language of words, for the reward `language`
  libmicrohttpd-dev                # cohort watch
  libeigen3-dev                    # the tests' reference for the operations
  libgtest-dev libbenchmark-dev    # tests and benchmarks
  dpkg-dev file                    # cpack: which libraries the Debian package needs, and whose they are
  python3                          # tests of the reward `code`, whose programs it runs
)
[[ ${1:-} == --slurm ]] && packages+=(slurmctld slurmd slurm-client munge)

if ! command -v dpkg > /dev/null || ! command -v apt-get > /dev/null; then
  echo "install_deps: this is no Debian system; please install what these packages hold: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  # dpkg -s also succeeds for a removed package whose configuration files stayed.
  if ! dpkg -s "$package" 2> /dev/null | grep -q '^Status: install ok installed'; then
    missing+=("$package")
  fi
done
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "install_deps: everything is installed"
  exit 0
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! command -v sudo > /dev/null; then
    echo "install_deps: not root and no sudo; please have installed: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "install_deps: installing with apt-get: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
