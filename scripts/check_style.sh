#!/usr/bin/env bash
# Looks for what the house rules forbid: files over 400 lines, std::regex, CUDA headers outside the backend, machine paths.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
complain() { echo "check_style: $*" >&2; failed=1; }

while read -r lines file; do
  [[ $file == total ]] && continue
  if (( lines > 400 )); then complain "$file has $lines lines, more than 400"; fi
done < <(git ls-files -- '*.cpp' '*.h' '*.cu' '*.cuh' | xargs wc -l)

if git grep -nE 'std::regex|#include <regex>' -- '*.cpp' '*.h'; then complain "std::regex overflows the stack on long runs of one character"; fi
if git grep -nE '#include [<"](cuda|cublas|cudnn|nccl)[a-zA-Z_]*\.h' -- '*.cpp' '*.h' ':!model/cuda' ':!comm/nccl.cpp' | grep -v '"comm/nccl.h"\|"model/cuda/'; then complain "CUDA headers belong into model/cuda and comm/nccl.cpp"; fi
if git grep -nE '/(home|root|work)/' -- '*.cpp' '*.h' '*.sh' '*.md' '*.yaml' ':!scripts/check_style.sh'; then complain "a path of one machine"; fi
exit $failed
