// What the CPU kernels were compiled for. Constants only, so that any processor can read them.
#pragma once

namespace cohort {

struct InstructionSets {
  bool avx2, fma, avx512f, avx512bw, avx512dq, avx512vl, avx512bf16;
};
extern const InstructionSets kKernelInstructionSets;

}  // namespace cohort
