#!/bin/bash
# A SLURM of one node on this machine, for tests: munged, slurmctld and slurmd from Debian's packages (munge, slurmctld,
# slurmd, slurm-client), all their files and sockets in one folder; needs root, touches nothing of an installed SLURM.
#
#   scripts/slurm/local_cluster.sh start DIR     then: export SLURM_CONF=DIR/slurm.conf
#   scripts/slurm/local_cluster.sh stop DIR
set -eu
usage() { echo "usage: $0 start|stop DIR" >&2; exit 2; }
[ $# -eq 2 ] || usage
dir=$(realpath -m "$2")

start() {
  [ "$(id -u)" -eq 0 ] || { echo "$0: must be root: slurmd starts jobs as other users" >&2; exit 2; }
  for program in munged slurmctld slurmd srun; do
    command -v $program >/dev/null || { echo "$0: $program is missing: apt-get install munge slurmctld slurmd slurm-client" >&2; exit 2; }
  done
  mkdir -p "$dir/state" "$dir/spool" "$dir/munge"
  chmod 755 "$dir"
  head -c 1024 /dev/urandom > "$dir/munge/key"
  chmod 600 "$dir/munge/key"
  chmod 711 "$dir/munge"
  munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" \
         --log-file="$dir/munge/log" --seed-file="$dir/munge/seed"
  local host port
  host=$(hostname -s)
  port=$((20000 + $$ % 10000))
  # cred_expire: how long a requeued job waits before it may start again.
  cat > "$dir/slurm.conf" <<EOF
ClusterName=cohort
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=10
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=pmix
ReturnToService=2
KillWait=10
SchedulerParameters=batch_sched_delay=1,sched_interval=5,bf_interval=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
EOF
  export SLURM_CONF="$dir/slurm.conf"
  slurmctld
  slurmd
  for _ in $(seq 100); do
    if sinfo --noheader --format=%T 2>/dev/null | grep -q idle; then return; fi
    sleep 0.2
  done
  echo "$0: the node did not come up:" >&2
  tail -n 5 "$dir"/slurmctld.log "$dir"/slurmd.log >&2
  exit 1
}

# Waits until the daemons are gone, so that the folder can be removed.
stop() {
  export SLURM_CONF="$dir/slurm.conf"
  scancel --user=root 2>/dev/null || true
  local file pid
  for file in slurmd.pid slurmctld.pid munge/pid; do
    [ -e "$dir/$file" ] || continue
    pid=$(cat "$dir/$file")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do
      [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null || break
      sleep 0.1
    done
  done
}

case $1 in start) start ;; stop) stop ;; *) usage ;; esac
