#!/usr/bin/env bash
# Opens a report of `cohort report` in headless Chromium (Debian package chromium): it must draw itself without network and without a word
# on the console, at the size of a desk and of a phone, light and dark. Screenshots are left to be looked at.
# usage: scripts/check_report.sh REPORT.html [FOLDER for the screenshots]
set -euo pipefail
report=$(realpath "${1:?usage: scripts/check_report.sh REPORT.html [FOLDER]}")
folder=${2:-$(mktemp -d)}
mkdir -p "$folder"
command -v chromium > /dev/null || { echo "check_report: chromium is missing: apt-get install chromium" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# browse NAME OPTIONS...: the page as it is once drawn in $work/NAME.html, what it said in $work/NAME.log
browse() {
  local name=$1
  shift
  timeout 120 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --host-resolver-rules='MAP * ~NOTFOUND' \
    --user-data-dir="$work/profile" --enable-logging=stderr --virtual-time-budget=5000 "$@" "file://$report" > "$work/$name.html" 2> "$work/$name.log"
}
drawn() { grep -q '<html[^>]*data-ready="true"' "$work/desk.html"; }
silent() { ! grep -E 'CONSOLE|Uncaught|Refused to' "$work"/*.log; }
curves() { [[ $(grep -o '<svg' "$work/desk.html" | wc -l) -ge 8 ]]; }
labelled() { [[ $(grep -o '<svg' "$work/desk.html" | wc -l) -eq $(grep -o '<svg[^>]*aria-label="[^"]' "$work/desk.html" | wc -l) ]]; }
# The page is as wide as the window: nothing but tables and texts of their own scrolls sideways.
fits() { grep -q 'data-overflow="false"' "$work/phone.html"; }
small() { [[ $(stat -c %s "$report") -lt 3000000 ]]; }

browse desk --window-size=1280,900 --dump-dom
browse phone --window-size=500,900 --dump-dom
for scheme in light dark; do
  setting=$([[ $scheme == dark ]] && echo 0 || echo 1)
  browse "shot_$scheme" --window-size=1280,2600 --blink-settings=preferredColorScheme="$setting" --screenshot="$folder/$scheme.png"
  browse "shot_phone_$scheme" --window-size=500,2600 --blink-settings=preferredColorScheme="$setting" --screenshot="$folder/phone_$scheme.png"
done

check "the page draws itself" drawn
check "nothing on the console" silent
check "eight curves and more" curves
check "each curve has a label for screen readers" labelled
check "fits a narrow window" fits
check "below 3 MB" small
check "screenshots" test -s "$folder/light.png" -a -s "$folder/dark.png" -a -s "$folder/phone_light.png" -a -s "$folder/phone_dark.png"
echo "$passed passed, $failed failed; screenshots in $folder"
[[ $failed -eq 0 ]]
