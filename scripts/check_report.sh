#!/usr/bin/env bash
# Opens a report of `cohort report` in headless Chromium (Debian package chromium): it must draw itself without network and without a word
# on the console, at the size of a desk and of a phone, light and dark, and be ready within a second. Screenshots are left to be looked at.
# usage: scripts/check_report.sh REPORT.html [FOLDER for the screenshots]
#   AXE=.../axe.min.js   also: axe-core (of the PyPI package axe-playwright-python, or of npm axe-core) finds no fault for those who cannot see the page, or use no mouse
set -euo pipefail
report=$(realpath "${1:?usage: scripts/check_report.sh REPORT.html [FOLDER]}")
folder=${2:-$(mktemp -d)}
mkdir -p "$folder"
command -v chromium > /dev/null || { echo "check_report: chromium is missing: apt-get install chromium" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# browse NAME OPTIONS...: the page as it is once drawn in $work/NAME.html, what it said in $work/NAME.log
page=$report time=--virtual-time-budget=5000
browse() {
  local name=$1
  shift
  timeout 120 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --host-resolver-rules='MAP * ~NOTFOUND' \
    --user-data-dir="$work/profile" --enable-logging=stderr $time "$@" "file://$page" > "$work/$name.html" 2> "$work/$name.log"
}
drawn() { grep -q '<html[^>]*data-ready="true"' "$work/desk.html"; }
silent() { ! grep -E 'CONSOLE|Uncaught|Refused to' "$work"/*.log; }
curves() { [[ $(grep -o '<svg' "$work/desk.html" | wc -l) -ge 8 ]]; }
labelled() { [[ $(grep -o '<svg' "$work/desk.html" | wc -l) -eq $(grep -o '<svg[^>]*aria-label="[^"]' "$work/desk.html" | wc -l) ]]; }
# The page is as wide as the window: nothing but tables and texts of their own scrolls sideways.
fits() { grep -q 'data-overflow="false"' "$work/phone.html"; }
ready_ms() { grep -o 'data-ready-ms="[0-9]*"' "$work/$1.html" | grep -o '[0-9]*'; }
# Of three, as the first one starts the browser's own caches.
fast() { sort -n "$work/ready" | head -1 | { read -r ms; [[ $ms -lt 1000 ]]; }; }
# The page with axe-core in it, which leaves what it found in an attribute: "IMPACT RULE (how many): where".
with_axe() {
  grep -v 'http-equiv="Content-Security-Policy"' "$report" | sed '/<\/body>/d; /<\/html>/d'
  printf '<script>'; cat "$AXE"; printf '</script>\n'
  cat << 'END'
<script>
document.querySelectorAll("details").forEach(details => { details.open = true; });
axe.run(document, {resultTypes: ["violations"]}).then(found => {
  document.documentElement.dataset.axe = "done: " + found.violations.map(v => `${v.impact} ${v.id} (${v.nodes.length}): ${v.nodes[0].target}`).join("; ");
});
</script></body></html>
END
}
accessible() { grep -o 'data-axe="[^"]*"' "$work/axe_$1.html" | tee "$work/axe" && grep -q '^data-axe="done: "$' "$work/axe"; }
small() { [[ $(stat -c %s "$report") -lt 3000000 ]]; }

browse desk --window-size=1280,900 --dump-dom
browse phone --window-size=500,900 --dump-dom
for run in 1 2 3; do
  time= browse "ready_$run" --window-size=1280,900 --dump-dom
  ready_ms "ready_$run"
done > "$work/ready"
for scheme in light dark; do
  setting=$([[ $scheme == dark ]] && echo 0 || echo 1)
  browse "shot_$scheme" --window-size=1280,2600 --blink-settings=preferredColorScheme="$setting" --screenshot="$folder/$scheme.png"
  browse "shot_phone_$scheme" --window-size=500,2600 --blink-settings=preferredColorScheme="$setting" --screenshot="$folder/phone_$scheme.png"
  [[ -n ${AXE:-} ]] || continue
  with_axe > "$work/with_axe.html"
  page=$work/with_axe.html time=--virtual-time-budget=30000 browse "axe_$scheme" --window-size=1280,900 --blink-settings=preferredColorScheme="$setting" --dump-dom
done

check "the page draws itself" drawn
check "nothing on the console" silent
check "eight curves and more" curves
check "each curve has a label for screen readers" labelled
check "fits a narrow window" fits
check "below 3 MB" small
check "ready within a second ($(tr '\n' ' ' < "$work/ready")ms)" fast
[[ -z ${AXE:-} ]] || for scheme in light dark; do check "axe-core finds nothing, $scheme" accessible "$scheme"; done
check "screenshots" test -s "$folder/light.png" -a -s "$folder/dark.png" -a -s "$folder/phone_light.png" -a -s "$folder/phone_dark.png"
echo "$passed passed, $failed failed; screenshots in $folder"
[[ $failed -eq 0 ]]
