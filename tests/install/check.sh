#!/usr/bin/env bash
# The installed tree: complete, without a path of the builder, movable; the examples run from it, from another folder, by an ordinary
# user without a home, and nothing is written outside that folder.
# usage: check.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$1 source=$2
fail() { echo "FAILED: $*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

cmake --install "$build" --prefix "$work/first" > "$work/install.log" || { cat "$work/install.log"; fail "cmake --install"; }
mv "$work/first" "$work/root"
root=$work/root
for file in bin/cohort share/cohort/configs/quickstart.yaml share/cohort/configs/pipelines/r1.yaml share/cohort/slurm/train.sbatch share/man/man1/cohort.1 \
            share/bash-completion/completions/cohort share/zsh/vendor-completions/_cohort include/cohort/reward/outside/abi.h include/cohort/trainer/grpo.h; do
  [[ -s $root/$file ]] || fail "$file is missing"
done
documents=$(find "$root/share/doc" -mindepth 1 -maxdepth 1)  # share/doc/cohort
for file in README.md CHANGELOG.md LICENSE copyright docs/config.md docs/data.md examples/embed/main.cpp; do [[ -s $documents/$file ]] || fail "$file is missing"; done
[[ -z $(find "$root/include" -path '*/cli/*' -o -path '*/cpu/*') ]] || fail "headers that are nobody's business"
if grep -rIlE "$source|$build|$work/first" "$root"; then fail "a path of the builder is in these files"; fi
"$root/bin/cohort" man | cmp - "$root/share/man/man1/cohort.1"
"$root/bin/cohort" completion bash | cmp - "$root/share/bash-completion/completions/cohort"

run=$work/elsewhere
mkdir "$run"
as_user=(env HOME=/nonexistent)
if [[ $(id -u) -eq 0 ]]; then
  chown 65534:65534 "$run"
  as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --no-new-privs env HOME=/nonexistent)
fi
export PATH=$root/bin:$PATH CCACHE_DISABLE=1
touch "$work/stamp"
cd "$run"
echo "== quickstart on two ranks"
"${as_user[@]}" mpirun -n 2 --bind-to none --oversubscribe cohort train "$root/share/cohort/configs/quickstart.yaml" --quiet run.threads=1 trainer.max_steps=4 \
  trainer.prompts_per_step=16 trainer.warm_start.steps=10 data.task.eval_size=16 trainer.save_steps=2 trainer.eval_steps=0
[[ -s runs/quickstart/final/model.safetensors ]] || fail "no model"
"${as_user[@]}" cohort doctor > doctor.txt
for example in "$documents"/examples/*/run.sh; do
  name=$(basename "$(dirname "$example")")
  arguments=()
  [[ -e ${example%/*}/CMakeLists.txt ]] && arguments=(-G Ninja -DCMAKE_PREFIX_PATH="$root")
  "${as_user[@]}" "$example" "${arguments[@]}" > "$work/$name.txt" 2>&1 || { cat "$work/$name.txt"; [[ -e $name.log ]] && cat "$name.log"; fail "example $name"; }
  echo "== example $name: $(tail -n 1 "$work/$name.txt")"
done
expect() { grep -qF -- "$2" "$work/$1.txt" || { cat "$work/$1.txt"; fail "example $1 does not say: $2"; }; }
expect own_data "held_back.jsonl:2 is "
expect own_data "nothing found"
expect custom_reward '"vowels":1.0'
expect custom_reward "1 of 8 letters are vowels"
expect python_checker "6 letters"
expect embed "step 5 of 5: reward "
[[ -s runs/own_data/report.html && -s runs/embedded/final/model.safetensors ]] || fail "an example left no result"

# What an ordinary user could write to besides.
places=("$work")
[[ $(id -u) -eq 0 ]] && for place in /tmp /var/tmp /dev/shm /run/lock; do [[ -d $place ]] && places+=("$place"); done
written=$(find "${places[@]}" -xdev -newer "$work/stamp" -user "$(stat -c %u "$run")" -not -path "$run" -not -path "$run/*" -not -path "$work/*.txt" 2> /dev/null || true)
[[ -z $written ]] || fail "written outside of the run's folder: $written"
echo "the installed tree works"
