#!/usr/bin/env bash
# Decoding and start-up of cohort against llama.cpp (and transformers), in turn, on the same cores.
# usage: bench/peers/decode.sh COHORT MODEL_DIR [ROUNDS] [BATCH[@CONTEXT]...]     (PYTHON: one with bench/peers/requirements.txt)
set -euo pipefail
[[ $# -ge 2 ]] || { sed -n '2,3s/^# //p' "$0"; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
[[ -x $1 ]] || { echo "decode: no program $1; build it: cmake --build --preset release --target cohort" >&2; exit 1; }
[[ -f $2/config.json ]] || { echo "decode: $2 is no Hugging Face folder; get one: scripts/get_smollm2.sh" >&2; exit 1; }
for module in llama_cpp gguf torch safetensors transformers; do
  "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$module') is None)" ||
    { echo "decode: $python has no module $module; scripts/bench.sh sets up one that has (bench/peers/requirements.txt)" >&2; exit 1; }
done
"$python" "$here/decode.py" "$@"
echo
"$python" "$here/startup.py" "$1" "$2" "${3:-5}"
