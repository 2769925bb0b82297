// What a device can do at most, and the time that an op then takes at least.
#pragma once

#include <array>
#include <string>

#include "bench/roofline/op.h"

namespace cohort::roofline {

struct Limits {
  std::string name;
  double memory_gb_s, bf16_tflops;
  double multiprocessors, clock_ghz;
  double l2_mb;
  double launch_us;  // from the start of one empty kernel to that of the next

  // 128 bytes of shared memory a clock and multiprocessor, and 4 schedulers that each start an instruction of a warp (CUDA C++
  // Programming Guide, "Compute Capabilities" 8.0, 8.9 and 9.0).
  double shared_bytes_s() const { return 128e9 * multiprocessors * clock_ghz; }
  double instructions_s() const { return 128e9 * multiprocessors * clock_ghz; }
};

// NVIDIA's data sheets: H100 SXM5, A100 80 GB SXM4, RTX 4090 (products with f32 sums, dense, at boost clock). launch_us is assumed.
const std::array<Limits, 3>& datasheets();

struct Bound {
  double us = 0;           // with launches
  double work_us = 0;      // as if kernels started at no cost
  const char* by = "";     // what takes most of it: "memory", "products", "shared memory", "instructions" or "launches"
};
Bound bound_of(const Work& work, const Limits& limits);

}  // namespace cohort::roofline
