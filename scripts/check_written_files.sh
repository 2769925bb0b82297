#!/usr/bin/env bash
# Which files a run opens to be written, makes, renames or removes, by strace: all must lie in its run directory. Shared memory of several ranks
# (/dev/shm) and devices (/dev/null) are named, and are none.
# usage: scripts/check_written_files.sh PROGRAM CONFIG [section.key=value ...]
#   RANKS=2   by mpirun, whose own daemon and session folder are not looked at
#   COMMAND   train, which is the default, sft or rm
set -euo pipefail
[[ $# -ge 2 ]] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }
command -v strace > /dev/null || { echo "check_written_files: strace is missing: apt-get install strace" >&2; exit 2; }
program=$(realpath "$1") config=$(realpath "$2")
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
start=()
if [[ ${RANKS:-1} -gt 1 ]]; then
  start=(mpirun -n "$RANKS" --bind-to none --oversubscribe)
  [[ $(id -u) -ne 0 ]] || start+=(--allow-run-as-root)
fi
mkdir "$work/place"
cd "$work/place"
calls=open,openat,creat,mkdir,mkdirat,link,linkat,symlink,symlinkat,rename,renameat,renameat2,mknod,mknodat,unlink,unlinkat,rmdir,truncate
"${start[@]}" strace -ff -y -qq -s 400 -e "trace=$calls" -o "$work/calls" "$program" "${COMMAND:-train}" "$config" run.dir=runs run.name=traced --quiet "$@" > "$work/out" 2>&1 ||
  { tail -20 "$work/out" >&2; exit 1; }

# Of calls that changed something: each path, relative to this place or whole.
cat "$work"/calls.* | grep -v ' = -1 ' | grep -E '^(open|openat)\(.*O_(WRONLY|RDWR|CREAT|TRUNC)|^[a-z0-9]*(mkdir|link|rename|mknod|creat|rmdir|truncate)' |
  sed -E 's#(AT_FDCWD|[0-9]+)<([^>]*)>, "([^/"][^"]*)"#"\2/\3"#g' | grep -oE '"[^"]*"' | tr -d '"' | sed "s#^$work/place/##" | sort | uniq -c | sort -k2 > "$work/paths"
inside=$(awk '$2 ~ /^runs(\/traced(\/|$)|$)/' "$work/paths" | wc -l)
memory=$(awk '$2 ~ /^\/dev\//' "$work/paths")
outside=$(awk '$2 !~ /^runs(\/traced(\/|$)|$)/ && $2 !~ /^\/dev\// && $2 !~ /openmpi-sessions|ompi\./' "$work/paths")
session=$(awk '$2 ~ /openmpi-sessions|ompi\./' "$work/paths" | wc -l)
[[ $inside -gt 0 ]] || { echo "check_written_files: the run has written nothing" >&2; exit 1; }
echo "$inside names in the run directory, ${session} of Open MPI's session folder"
[[ -z $memory ]] || echo "devices and shared memory:" $(awk '{print $2}' <<< "$memory" | sed 's/[0-9][0-9]*/N/g' | sort -u)
if [[ -n $outside ]]; then
  echo "outside of the run directory:" >&2
  awk '{print "  " $2}' <<< "$outside" >&2
  exit 1
fi
