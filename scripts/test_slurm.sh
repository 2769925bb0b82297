#!/usr/bin/env bash
# Submits the project's own sbatch files to a real SLURM that it starts on this machine (scripts/slurm/local_cluster.sh) and
# checks what becomes of the runs. Needs root and Debian's slurmctld, slurmd, slurm-client and munge; takes about four minutes.
# usage: scripts/test_slurm.sh [PROGRAM]      PROGRAM: build/cohort
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export COHORT
COHORT=$(realpath "${1:-build/cohort}")
export COHORT_SLURM=$PWD/scripts/slurm
source scripts/checks.sh

if [[ $(id -u) -ne 0 ]] || ! command -v slurmctld > /dev/null; then
  echo "test_slurm: skipped: needs root and the packages slurmctld slurmd slurm-client munge"
  exit 0
fi

work=$(mktemp -d)
cleanup() {
  local status=$?
  "$COHORT_SLURM/local_cluster.sh" stop "$work/cluster" || true
  if [[ $status -eq 0 ]]; then rm -rf "$work"; else echo "test_slurm: logs are in $work"; fi
}
trap cleanup EXIT
"$COHORT_SLURM/local_cluster.sh" start "$work/cluster"
export SLURM_CONF=$work/cluster/slurm.conf
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

cat > "$work/config.yaml" <<EOF
run: {name: whole, threads: 1, dir: $work/runs}
model:
  init: {hidden_size: 64, intermediate_size: 192, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 64}
  dtype: bfloat16
data: {task: {name: addition, seed: 1, train_size: 64, eval_size: 8}, max_prompt_length: 32}
reward: [{name: last_number}]
rollout: {num_generations: 4, max_completion_length: 8}
optim: {learning_rate: 1.0e-6}  # so slow that there is work in every step
trainer: {max_steps: 3000, prompts_per_step: 8, logical_ranks: 4, save_steps: 0, warm_start: {steps: 60, problems_per_step: 16, learning_rate: 5.0e-3}}
log: {completions_steps: 100}
EOF

# The job is over and gone from the queue, requeued starts and all; at most $2 seconds.
wait_job() {
  local end=$((SECONDS + $2))
  while [[ -n $(squeue --noheader --job "$1" 2> /dev/null) ]]; do
    [[ $SECONDS -lt $end ]] || { echo "job $1 is not done after $2 s:"; scontrol show job "$1"; return 1; }
    sleep 0.2
  done
}
wait_line() {  # FILE TEXT SECONDS
  local end=$((SECONDS + $3))
  until grep -qs -- "$2" "$1"; do
    [[ $SECONDS -lt $end ]] || { echo "no '$2' in $1 after $3 s:"; tail -n 5 "$1"; return 1; }
    sleep 0.1
  done
}
# The child of a supervisor (comm/supervisor.h): others of the same command line (srun, the script, what a rank forked) are no ranks.
last_rank() {
  local pid
  for pid in $(pgrep --full "$COHORT train.*$1"); do
    if [[ $(readlink "/proc/$pid/exe") == "$COHORT" && $(cat "/proc/$(awk '/^PPid:/ {print $2}' "/proc/$pid/status")/comm") == cohort-watch ]]; then
      echo "$pid"
    fi
  done 2> /dev/null | tail -n 1
}
submit() { sbatch --parsable "$@"; }
same_runs() { "$COHORT" compare "$work/runs/$1" "$work/runs/$2" | grep identical; }

# What all must equal: one rank, no SLURM, never stopped.
"$COHORT" train "$work/config.yaml" --quiet > /dev/null

# Time runs out, perhaps more than once: the job saves, requeues itself and finishes. SLURM looks at the time every 30 s, and
# a limit is at least a minute: the run has to be longer than half of that on any machine.
long=(rollout.num_generations=8 trainer.prompts_per_step=32 trainer.max_steps=12000)
job=$(submit --ntasks=2 --time=1 --signal=B:USR1@58 --output="$work/limit.log" scripts/slurm/train.sbatch "$work/config.yaml" run.name=limit "${long[@]}")
check "a job near its time limit goes on until it is done" wait_job "$job" 900
check "... it was requeued" grep -q "saved: requeueing" "$work/limit.log"
check "... it went on from its checkpoint" grep -q "resuming from" "$work/limit.log"
"$COHORT" train "$work/config.yaml" --quiet run.name=long "${long[@]}" > /dev/null
check "... and its bits are those of the run that was never stopped" same_runs long limit

# The same with mpirun inside the allocation, three ranks, stopped once by hand.
job=$(COHORT_LAUNCHER=mpirun submit --ntasks=3 --output="$work/mpirun.log" scripts/slurm/train.sbatch "$work/config.yaml" run.name=mpirun)
check "mpirun: the run starts" wait_line "$work/mpirun.log" "step  *100/" 60
scancel --batch --signal=USR1 "$job"
check "mpirun: the job saves, requeues and finishes" wait_job "$job" 120
check "mpirun: it was requeued" grep -q "saved: requeueing" "$work/mpirun.log"
check "mpirun: equal bits" same_runs whole mpirun

# A rank that is killed ends the job soon, and submitting again continues.
job=$(submit --ntasks=2 --output="$work/killed.log" scripts/slurm/train.sbatch "$work/config.yaml" run.name=killed trainer.save_steps=50)
check "a rank to be killed: the run starts" wait_line "$work/killed.log" "step  *100/" 60
kill -KILL "$(last_rank run.name=killed)"
check "a killed rank ends the job within 45 s" wait_job "$job" 45
check "... its supervisor says what happened" grep -q "killed by signal 9 (Killed).* in section .* of step" "$work/killed.log"
check "... and not as a success" test "$(scontrol show job "$job" | grep -o 'JobState=[A-Z]*')" = JobState=FAILED
job=$(submit --ntasks=1 --output="$work/killed2.log" scripts/slurm/train.sbatch "$work/config.yaml" run.name=killed trainer.save_steps=50)
check "submitted again on another number of ranks, it finishes" wait_job "$job" 120
check "... from its checkpoint" grep -q "resuming from" "$work/killed2.log"
check "... with equal bits" same_runs whole killed

# A job array: each seed a run of its own.
job=$(submit --array=1-2 --output="$work/seed_%a.log" scripts/slurm/sweep.sbatch "$work/config.yaml" trainer.max_steps=5)
check "an array of two seeds" wait_job "$job" 120
check "... makes two runs" test -d "$work/runs/seed_1/final" -a -d "$work/runs/seed_2/final"

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
