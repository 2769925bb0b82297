#include "cli/cpu_check.h"

#include <string>

#include "core/check.h"
#include "model/ops/instruction_sets.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace cohort {

#ifdef __x86_64__
// CPUID leaf 7: bit 22 of EDX is AMX-BF16, 24 AMX-TILE.
static bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0;
}
#endif

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
  require(needed.amx_bf16, has_amx_bf16(), "amx_bf16");
  CHECK_USAGE(
      missing.empty(),
      "this program was built with -march={} and this processor lacks {}; build it here, or with "
      "-DCOHORT_ARCH=x86-64-v3 or x86-64",
      COHORT_ARCH_NAME, missing);
  CHECK_USAGE(tiles_granted(),
              "this program was built with -march={} and the system does not let it use the processor's tile registers (AMX: Linux 5.16 "
              "or later); build it with -DCOHORT_ARCH=cooperlake, which has AVX512-BF16 without them",
              COHORT_ARCH_NAME);
#endif
}

}  // namespace cohort
