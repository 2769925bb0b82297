// What this machine can do at most: its multiply-adds, its matrix products, its memory. Benchmarks give their figures as
// shares of these.
#pragma once

#include <optional>

namespace cohort {

struct MachineBound {
  int threads = 1;
  // GFLOP/s of a loop that only touches registers, of the widest multiply-add there is; f32 and bf16 inputs, f32 sums.
  // Without bf16 instructions the two are the same.
  double f32_peak = 0, bf16_peak = 0;
  const char* instructions = "";  // of bf16_peak
  // GFLOP/s of oneDNN's bf16 product of 512 rows with SmolLM2-135M's layers; nothing where the benchmarks were built without oneDNN.
  std::optional<double> bf16_gemm;
  double copy_gb_s = 0;  // bytes read + bytes written
  double read_gb_s = 0;

  // What bf16 products are measured against: oneDNN's where there is one (no program is expected to reach a loop without memory).
  double bf16_bound() const { return bf16_gemm.value_or(bf16_peak); }
};

// Each figure is the best of several short runs, about a second in all: what the machine gives when nobody disturbs.
MachineBound measure_machine(int threads);

}  // namespace cohort
