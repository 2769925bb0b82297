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
if git grep -nE '#include [<"](cuda|cublas|cudnn|nccl)[a-zA-Z_]*\.h' -- '*.cpp' '*.h' ':!model/cuda' ':!comm/nccl.cpp' ':!comm/nccl_devices.cpp' ':!tests/emulated' ':!bench/roofline' | grep -v '"comm/nccl.h"\|"model/cuda/'; then complain "CUDA headers belong into model/cuda, comm/nccl*.cpp, bench/roofline and tests/emulated"; fi
# What nvcc and the emulator would read differently (docs/gpu.md): only the platform's own files may say it.
if git grep -nE '__shared__|\basm\b|__CUDA_ARCH__|<<<|GPU_EMULATED' -- 'model/cuda/*.cu' 'model/cuda/*.cuh' ':!model/cuda/platform'; then complain "kernels say this through model/cuda/platform"; fi
if git grep -nE '__shared__|__CUDA_ARCH__|<<<' -- 'model/cuda/platform/reduce.cuh'; then complain "kernels say this through model/cuda/platform"; fi
if git grep -nE '#include <(cub|cooperative_groups|thrust|cuda/)|__constant__|cudaTextureObject|atomicAdd\([^;]*\.f32' -- 'model/cuda/*.cu' 'model/cuda/*.cuh'; then complain "not emulated: cooperative groups, CUB, textures, __constant__"; fi
if git grep -nE '/(home|root|work)/' -- '*.cpp' '*.h' '*.sh' '*.md' '*.yaml' ':!scripts/check_style.sh'; then complain "a path of one machine"; fi
exit $failed
