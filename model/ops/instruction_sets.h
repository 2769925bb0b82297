// What the CPU kernels were compiled for.
#pragma once

namespace cohort {

// Constants only, so that any processor can read them.
struct InstructionSets {
  bool avx2, fma, avx512f, avx512bw, avx512dq, avx512vl, avx512bf16;
  bool amx_bf16, emulated_amx_bf16;  // the bits of the latter are those of the former
};
extern const InstructionSets kKernelInstructionSets;

// Asks the system for the tile registers of AMX; true where the kernels have no use for them. Needs the sets above.
bool tiles_granted();

}  // namespace cohort
