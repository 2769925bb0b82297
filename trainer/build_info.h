// What decides the bits of a build: checkpoints record it, so that a run that goes on elsewhere says which promise holds.
#pragma once

#include <cstdint>
#include <string>

#include "core/json.h"

namespace cohort {

// Raised with every change after which the same run gives other bits, on any processor; tests/trainer/numerics_test.cpp
// holds it to that.
constexpr int64_t kNumericsVersion = 4;

std::string compiler_name();  // "GCC 12.2.0"
std::string kernel_sets();    // what the CPU kernels are compiled for: "avx2 fma avx512f", "baseline"

// {"version", "numerics", "device", "kernels", "compiler", "libc"} of this program.
Json build_info();

// For people: how the process that wrote a checkpoint differs from this one, and which promise of same bits then holds;
// empty where nothing differs. `then`: its build_info; null where it recorded none.
std::string resume_note(const Json& then, int64_t ranks_then, const Json& now, int64_t ranks_now);

}  // namespace cohort
