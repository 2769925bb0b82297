#!/usr/bin/env bash
# Everything that can go wrong with a run, on real ranks: what the tests labelled "faults" try a part of.
# usage: scripts/faults.sh [matrix | calls | histories | ranks | disk | memory | link | soak | all]     default all
#   matrix     each kind of fault in each section of a step: exit code, time, words, and the bits after the resume
#   calls      a kill at each call that changes a file while a checkpoint is written
#   histories  COHORT_HISTORIES (60) random histories of ranks, threads, checkpoints and faults, from COHORT_SEED (1000) on
#   ranks      16 and 32 ranks, whatever the cores
#   disk       a file system that is full, of 40 sizes (root)
#   memory     address space that ends, at 60 limits
#   link       ranks on two hosts, network namespaces, and a link that is cut (scripts/test_link.sh; root)
#   soak       COHORT_KILLS (300) kills at random moments of one run
# Needs a build (scripts/test.sh); BUILD names another folder than build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tests=${BUILD:-build}/tests/test_faults
[[ -x $tests ]] || { echo "faults: $tests is missing: build first (scripts/test.sh)" >&2; exit 1; }
if [[ $(id -u) -eq 0 ]]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

case ${1:-all} in
  matrix) filter='All/Matrix.*' ;;
  calls) filter='Calls.*' ;;
  histories) filter='Histories.*' ;;
  ranks) filter='ManyRanks.*' ;;
  disk) filter='Disk.*' ;;
  memory) filter='Memory.*' ;;
  link) exec scripts/test_link.sh "${BUILD:-build}/cohort" ;;
  soak) filter='Soak.*' ;;
  all) filter='*:-*Quick*' ;;
  *) echo "faults: '$1' is unknown; allowed: matrix, calls, histories, ranks, disk, memory, link, soak, all" >&2; exit 2 ;;
esac
if [[ ${1:-all} == all ]]; then
  scripts/test_link.sh "${BUILD:-build}/cohort" || [[ $? -eq 77 ]]
fi
exec "$tests" --gtest_filter="$filter"
