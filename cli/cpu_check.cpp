#include "cli/cpu_check.h"

#include <string>

#include "core/check.h"
#include "model/ops/instruction_sets.h"

namespace cohort {

void check_cpu() {
#ifdef __x86_64__
  const InstructionSets& needed = kKernelInstructionSets;
  std::string missing;
  const auto require = [&](bool wanted, bool present, const char* name) {
    if (wanted && !present) missing += std::string(missing.empty() ? "" : ", ") + name;
  };
  require(needed.avx2, __builtin_cpu_supports("avx2"), "avx2");
  require(needed.fma, __builtin_cpu_supports("fma"), "fma");
  require(needed.avx512f, __builtin_cpu_supports("avx512f"), "avx512f");
  require(needed.avx512bw, __builtin_cpu_supports("avx512bw"), "avx512bw");
  require(needed.avx512dq, __builtin_cpu_supports("avx512dq"), "avx512dq");
  require(needed.avx512vl, __builtin_cpu_supports("avx512vl"), "avx512vl");
  require(needed.avx512bf16, __builtin_cpu_supports("avx512bf16"), "avx512bf16");
  CHECK_USAGE(
      missing.empty(),
      "this program was built with -march={} and this processor lacks {}; build it here, or with "
      "-DCOHORT_ARCH=x86-64-v3 or x86-64",
      COHORT_ARCH_NAME, missing);
#endif
}

}  // namespace cohort
