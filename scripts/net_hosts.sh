#!/bin/bash
# Hosts for tests on one machine: network namespaces with names and addresses of their own, joined by a switch, and a launch agent
# by which mpirun starts its daemons on them. Needs root (or the right to make namespaces); touches no interface of the machine.
#
#   scripts/net_hosts.sh check                     whether this machine can: exit code 0, or 77 with the reason
#   scripts/net_hosts.sh start DIR N               hosts h0 to hN-1, 10.99.0.1 to 10.99.0.N
#   scripts/net_hosts.sh run DIR HOST COMMAND...   on host number HOST
#   scripts/net_hosts.sh cut DIR HOST              from now on the switch drops all that HOST sends and is sent
#   scripts/net_hosts.sh mend DIR HOST
#   scripts/net_hosts.sh stop DIR
# mpirun on host 0: run DIR 0 mpirun --mca plm rsh --mca plm_rsh_agent DIR/agent --host 10.99.0.1:1,10.99.0.2:1 ...
set -eu
usage() { sed -n '5,11s/^# *//p' "$0" >&2; exit 2; }

check() {
  local name=cohort-check-$$ reason
  command -v ip > /dev/null || { echo "the program ip is missing: apt-get install iproute2"; return 77; }
  if ! reason=$(ip netns add $name 2>&1); then echo "no network namespace: $reason"; return 77; fi
  reason=$(ip -n $name link add name bridge type bridge 2>&1 && ip -n $name link add port type veth peer name eth0 2>&1 &&
           ip netns exec $name unshare --uts hostname h0 2>&1) || { echo "no switch, veth pair or host name in a network namespace: $reason"; ip netns del $name; return 77; }
  ip netns del $name
}

# The switch drops what comes from or goes to a port that is down; the hosts' own interfaces stay up, and they learn nothing.
start() {
  mkdir -p "$dir"
  local prefix=cohort-$$ i
  echo $prefix > "$dir/prefix"
  echo "$1" > "$dir/count"
  ip netns add $prefix-switch
  ip -n $prefix-switch link add name bridge type bridge
  ip -n $prefix-switch link set bridge up
  for ((i = 0; i < $1; ++i)); do
    ip netns add $prefix-h$i
    ip -n $prefix-switch link add port$i type veth peer name eth0 netns $prefix-h$i
    ip -n $prefix-switch link set port$i master bridge up
    # How often TCP tries again before it believes that a silent peer is gone: 6 seconds instead of a quarter of an hour.
    ip netns exec $prefix-h$i sh -c 'echo 4 > /proc/sys/net/ipv4/tcp_retries2'
    ip -n $prefix-h$i link set lo up
    ip -n $prefix-h$i addr add 10.99.0.$((i + 1))/24 dev eth0
    ip -n $prefix-h$i link set eth0 up
  done
  # mpirun calls it as it would call ssh: HOST COMMAND...
  printf '#!/bin/bash\nhost=$1\nshift\nexec "%s" run "%s" $((${host##*.} - 1)) sh -c "$*"\n' "$(realpath "$0")" "$dir" > "$dir/agent"
  chmod +x "$dir/agent"
}

run() {
  local host=$1
  shift
  exec ip netns exec "$(cat "$dir/prefix")-h$host" unshare --uts sh -c 'hostname "$0"; exec "$@"' "h$host" "$@"
}

# Until the switch forwards again, which the kernel sees to in its own time; and what hosts believe about unreachable others is forgotten.
mend() {
  local prefix i tries=100
  prefix=$(cat "$dir/prefix")
  ip -n "$prefix-switch" link set "port$1" up
  until ip -n "$prefix-switch" -d link show "port$1" | grep -q "state forwarding"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "net_hosts: port$1 of the switch does not forward" >&2; return 1; }
    sleep 0.1
  done
  for ((i = 0; i < $(cat "$dir/count"); ++i)); do ip -n "$prefix-h$i" neigh flush dev eth0; done
}

stop() {
  local prefix name pid
  prefix=$(cat "$dir/prefix")
  for name in $(ip netns list | awk '{print $1}' | grep "^$prefix-"); do
    for pid in $(ip netns pids "$name"); do kill -KILL "$pid" 2> /dev/null || true; done
    ip netns del "$name"
  done
}

[ $# -ge 1 ] || usage
action=$1
shift
if [ "$action" = check ]; then [ $# -eq 0 ] || usage; check; exit; fi
[ $# -ge 1 ] || usage
dir=$(realpath -m "$1")
shift
case $action in
  start) [ $# -eq 1 ] || usage; start "$1" ;;
  run) [ $# -ge 2 ] || usage; run "$@" ;;
  cut) [ $# -eq 1 ] || usage; ip -n "$(cat "$dir/prefix")-switch" link set "port$1" down ;;
  mend) [ $# -eq 1 ] || usage; mend "$1" ;;
  stop) [ $# -eq 0 ] || usage; stop ;;
  *) usage ;;
esac
