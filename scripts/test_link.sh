#!/usr/bin/env bash
# Ranks on several hosts, which are network namespaces of this machine (scripts/net_hosts.sh), and a link that is cut in the middle
# of a step and in each of its sections: the job ends in bounded time with exit code 4, and goes on with equal bits.
# usage: scripts/test_link.sh [PROGRAM [PROGRAM_WITH_FAULTS [SECTION ...]]]
#   build/cohort, and beside it tests/cohort_with_faults, which holds still in a section until the link is cut (tests/faults/inject.cpp)
#   SECTION: of load rollout reward update collective checkpoint; only these, and not the cuts at any moment
# exit code 77: skipped, for the reason that it prints
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cohort=$(realpath "${1:-build/cohort}")
faulty=$(realpath "${2:-$(dirname "$cohort")/tests/cohort_with_faults}")
sections=("${@:3}")
hosts=$PWD/scripts/net_hosts.sh
reason=$("$hosts" check) || { echo "test_link: skipped: $reason"; exit 77; }

work=$(mktemp -d)
cleanup() {
  local status=$?
  "$hosts" stop "$work/hosts" || true
  if [[ $status -eq 0 ]]; then rm -rf "$work"; else echo "test_link: logs are in $work"; fi
}
trap cleanup EXIT
"$hosts" start "$work/hosts" 2
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PMIX_MCA_gds=hash
source scripts/checks.sh
deadline=3 silent=20

cat > "$work/config.yaml" <<YAML
run: {name: whole, threads: 1, dir: $work/runs}
model:
  init: {hidden_size: 64, intermediate_size: 192, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 64}
  dtype: bfloat16
data: {task: {name: addition, seed: 1, train_size: 64, eval_size: 8}, max_prompt_length: 32}
reward: [{name: last_number}]
rollout: {num_generations: 4, max_completion_length: 8}
optim: {learning_rate: 1.0e-6}  # so slow that there is work in every step
trainer: {max_steps: 1500, prompts_per_step: 8, logical_ranks: 4, save_steps: 100, warm_start: {steps: 60, problems_per_step: 16, learning_rate: 5.0e-3}}
comm: {timeout_s: $deadline, rollout_timeout_s: $deadline, reward_timeout_s: 1, update_timeout_s: $deadline, checkpoint_timeout_s: $deadline}
log: {completions_steps: 100}
YAML

# mpirun on host 0, ranks on both, TCP between them. On an idle connection mpirun believes that a silent host is gone later than the
# ranks do (it would end with a code of its own, 205); when it ends the job, as soon as TCP does (scripts/net_hosts.sh).
ranks() {  # RANKS_PER_HOST ARGUMENTS...; PROGRAM is another than cohort, VARIABLES go along
  local each=$1 variable
  local -a along=()
  shift
  for variable in ${VARIABLES:-}; do along+=(-x "$variable"); done
  "$hosts" run "$work/hosts" 0 mpirun --mca plm rsh --mca plm_rsh_agent "$work/hosts/agent" --host "10.99.0.1:$each,10.99.0.2:$each" \
    --bind-to none --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 \
    --mca oob_tcp_keepalive_time $silent --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 3 "${along[@]}" "${PROGRAM:-$cohort}" train "$work/config.yaml" "$@"
}
wait_line() {  # FILE TEXT SECONDS
  local end=$((SECONDS + $3))
  until grep -qs -- "$2" "$1"; do
    [[ $SECONDS -lt $end ]] || { echo "no '$2' in $1 after $3 s:"; tail -n 5 "$1"; return 1; }
    sleep 0.05
  done
}
ended() {  # PID SECONDS
  local end=$((SECONDS + $2))
  while kill -0 "$1" 2> /dev/null; do
    [[ $SECONDS -lt $end ]] || { echo "it runs after $2 s"; return 1; }
    sleep 0.05
  done
}
none_left() {  # HOST SECONDS: no rank runs there
  local end=$((SECONDS + $2))
  while ip netns pids "$(cat "$work/hosts/prefix")-h$1" | xargs -r ps -o comm= -p | grep -q cohort; do
    [[ $SECONDS -lt $end ]] || { echo "ranks run on host $1 after $2 s"; return 1; }
    sleep 0.2
  done
}
exists() {  # FILE SECONDS
  local end=$((SECONDS + $2))
  until [[ -s $1 ]]; do
    [[ $SECONDS -lt $end ]] || { echo "no $1 after $2 s"; return 1; }
    sleep 0.05
  done
}
same_runs() { "$cohort" compare "$work/runs/$1" "$work/runs/$2" | grep identical; }

# The ranks' deadlines (where they meet after a rollout, two and a second), and as long as mpirun waits for a silent host.
ends_after_the_cut() {  # JOB LOG
  local start code
  start=$(date +%s.%N)
  check "... and with a cut link ends in bounded time" ended "$1" $((2 * deadline + 1 + 5 + silent + 5))
  wait "$1" && code=0 || code=$?
  echo "        exit code $code, $(echo "$(date +%s.%N) - $start" | bc | cut -c1-5) s after the cut"
  check "... with exit code 4" test $code -eq 4
  check "... a rank says whom it waits for, and where" grep -E "cohort: error: rank [0-9]+ on h[01]: .*(did not arrive: |not all data to and from )rank [0-9]+ on h[01]" "$2"
}

# The link is cut while rank 1 holds still where it enters the section of step 3. Only the sections in which ranks talk to each other would notice
# by themselves; whatever the section, the next exchange does.
short=(trainer.max_steps=5 trainer.save_steps=1 comm.load_timeout_s=6)
cut_in() {  # SECTION
  local name=in_$1 step=3 job code
  [[ $1 == load ]] && step=0
  export COHORT_FAULT="hold $1 $step 1 gradients" COHORT_FAULT_LOG="$work/$name.moment" COHORT_FAULT_RELEASE="$work/$name.release"
  PROGRAM=$faulty VARIABLES="COHORT_FAULT COHORT_FAULT_LOG COHORT_FAULT_RELEASE" ranks 1 run.name="$name" "${short[@]}" > "$work/$name.log" 2>&1 &
  job=$!
  unset COHORT_FAULT COHORT_FAULT_LOG COHORT_FAULT_RELEASE
  check "section $1: rank 1 is in it" exists "$work/$name.moment" 60
  "$hosts" cut "$work/hosts" 1
  touch "$work/$name.release"
  ends_after_the_cut $job "$work/$name.log"
  check "... and of which section and step it is" grep -E "\(section [a-z ]+ of step [0-9]+\)" "$work/$name.log"
  check "... no rank is left beyond the cut" none_left 1 30
  "$hosts" mend "$work/hosts" 1
  ranks 2 run.name="$name" "${short[@]}" > "$work/$name.again.log" 2>&1 && code=0 || code=$?
  check "... the same command on other ranks finishes" test $code -eq 0
  check "... with equal bits" same_runs short_whole "$name"
}
"$cohort" train "$work/config.yaml" --quiet run.name=short_whole "${short[@]}" > /dev/null
for section in "${sections[@]}"; do cut_in "$section"; done
if [[ ${#sections[@]} -eq 0 ]]; then
  for section in load rollout reward update collective checkpoint; do cut_in "$section"; done

  "$cohort" train "$work/config.yaml" --quiet > /dev/null

  # A link that is down for less than a deadline costs time and nothing else.
  ranks 1 run.name=short comm.timeout_s=60 comm.rollout_timeout_s=60 comm.reward_timeout_s=60 comm.update_timeout_s=60 comm.checkpoint_timeout_s=60 > "$work/short.log" 2>&1 &
  job=$!
  check "two ranks on two hosts: the run starts" wait_line "$work/short.log" "step  *200/" 60
  check "... and says how they are joined" grep -q "2 ranks on 2 hosts.*between hosts" "$work/short.log"
  "$hosts" cut "$work/hosts" 1
  sleep 0.4
  "$hosts" mend "$work/hosts" 1
  check "a link that is down for a moment: the run ends" ended $job 120
  wait $job && code=0 || code=$?
  check "... as a success" test $code -eq 0
  check "... with equal bits" same_runs whole short

  # A link that stays cut.
  for each in 1 2; do
    name=cut$each
    ranks $each run.name=$name > "$work/$name.log" 2>&1 &
    job=$!
    check "$each ranks a host: the run starts" wait_line "$work/$name.log" "step  *200/" 60
    "$hosts" cut "$work/hosts" 1
    ends_after_the_cut $job "$work/$name.log"
    check "... no rank is left beyond the cut" none_left 1 30
    "$hosts" mend "$work/hosts" 1
    ranks $((3 - each)) run.name=$name > "$work/$name.again.log" 2>&1 && code=0 || code=$?
    check "... the same command on other ranks finishes" test $code -eq 0
    check "... from its checkpoint" grep -q "resuming from" "$work/$name.again.log"
    check "... with equal bits" same_runs whole $name
  done
fi

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
