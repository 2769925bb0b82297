# For scripts that count checks, to be sourced: needs $work, a folder of theirs.
passed=0 failed=0

check() {  # NAME COMMAND...
  local name=$1
  shift
  if "$@" > "$work/check.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed=$((failed + 1))
    echo "FAILED  $name"
    sed 's/^/        /' "$work/check.log"
  fi
}
