#!/usr/bin/env bash
# Installs the Debian packages of a build folder in a fresh Debian 12 and runs them there as an ordinary user: doctor, the quickstart on one
# and two ranks on a root that is read only but for the run's folder, and programs built with libcohort-dev.
# usage: scripts/test_deb.sh BUILD_DIR [DEBIAN_ROOT]      as root; needs mmdebstrap
# QUICKSTART: more arguments of its run, e.g. trainer.max_steps=20. DEBIAN_ROOT: one that mmdebstrap made before, used as it is. --dev in DEB_TEST also installs libcohort-dev, which takes a compiler with it.
set -euo pipefail
[[ $# -ge 1 && $(id -u) -eq 0 ]] || { sed -n '4,5s/^# //p' "$0" >&2; exit 2; }
build=$(cd "$1" && pwd)
root=${2:-}
work=$(mktemp -d)
cleanup() {  # the root is mounted over itself: what lay below it comes to light again
  for place in debian/dev/shm debian/dev debian/proc debian/sys debian/tmp debian/data debian debian/dev debian/proc; do
    if mountpoint -q "$work/$place"; then umount -l "$work/$place"; fi
  done
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

(cd "$build" && SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000} cpack -B "$work/packages" > "$work/cpack.log") || { cat "$work/cpack.log"; exit 1; }
ls -l "$work"/packages/*.deb
for package in "$work"/packages/*.deb; do dpkg-deb --field "$package" Package Version Depends Recommends; done

mkdir "$work/debian"
if [[ -n $root ]]; then cp -a "$root/." "$work/debian/"; else mmdebstrap --variant=minbase bookworm "$work/debian"; fi
cp "$work"/packages/*.deb "$work/debian/var/cache/"
cp /etc/resolv.conf "$work/debian/etc/" 2> /dev/null || true
inside() { chroot "$work/debian" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
mount --bind /dev "$work/debian/dev"
mount -t proc proc "$work/debian/proc"
inside apt-get update -q
inside sh -c 'apt-get install -q -y --no-install-recommends /var/cache/cohort_*.deb openmpi-bin'
[[ ${DEB_TEST:-} == --dev ]] && inside sh -c 'apt-get install -q -y --no-install-recommends /var/cache/libcohort-dev_*.deb ninja-build'

# From here on nothing can be written but /tmp, shared memory and the run's folder.
mkdir -p "$work/debian/data"
mount --bind "$work/debian" "$work/debian" && mount -o remount,ro,bind "$work/debian"
mount --bind /dev "$work/debian/dev"
mount -t proc proc "$work/debian/proc"
mount --bind /sys "$work/debian/sys"  # which cores there are
for place in tmp data dev/shm; do mount -t tmpfs -o mode=1777 tmpfs "$work/debian/$place"; done
user() { inside setpriv --reuid=1000 --regid=1000 --clear-groups sh -c "export HOME=/nonexistent; cd /data && $1"; }
user 'cohort doctor'
user "cohort train /usr/share/cohort/configs/quickstart.yaml run.name=one --quiet ${QUICKSTART:-}"
user "mpirun -n 2 --bind-to none --oversubscribe cohort train /usr/share/cohort/configs/quickstart.yaml run.name=two --quiet ${QUICKSTART:-}"
user 'cohort generate runs/one/final --prompt "reverse table="'
if [[ ${DEB_TEST:-} == --dev ]]; then
  user '/usr/share/doc/cohort/examples/custom_reward/run.sh'
  user '/usr/share/doc/cohort/examples/embed/run.sh -G Ninja'
fi
left=$(find "$work/debian/tmp" "$work/debian/dev/shm" -mindepth 1 -print)
[[ -z $left ]] || { echo "left behind: $left" >&2; exit 1; }
echo "the packages work on a clean Debian 12"
