#!/usr/bin/env bash
# Runs the commands of the pages: every block marked ```sh, those of one page after the other in one folder. A block that is not run says why in
# its mark, ```sh not run: WHY, and is listed.
# usage: check.sh COHORT SOURCE_DIR [PAGE...]
set -euo pipefail
cohort=$1 source=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
ln -s "$cohort" "$work/bin/cohort"
export PATH=$work/bin:$PATH
cd "$source"
[[ $# -gt 0 ]] || set -- *.md docs/*.md
ran=0
for page in "$@"; do
  awk -v page="$page" '
    /^```/ { if (inside) { inside = run = 0; next }
             inside = 1; run = $0 == "```sh"
             if ($0 ~ /^```sh not run: ./) { sub(/^```sh not run: /, ""); print page ":" NR ": not run: " $0 > "/dev/stderr" }
             next }
    inside && run { print }' "$page" > "$work/commands" 2>> "$work/left_out"
  [[ -s $work/commands ]] || continue
  folder=$work/pages/$(basename "$page" .md)
  mkdir -p "$folder"
  if (cd "$folder" && timeout 120 bash -euo pipefail -x "$work/commands" > "$work/log" 2>&1); then
    echo "$page: $(wc -l < "$work/commands") lines of commands work"
    ran=$((ran + 1))
  else
    echo "FAILED: a command of $page" >&2
    tail -n 30 "$work/log" >&2
    exit 1
  fi
done
cat "$work/left_out"
[[ $ran -gt 0 ]] || { echo "FAILED: no page has a command" >&2; exit 1; }
