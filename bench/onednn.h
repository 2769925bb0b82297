// oneDNN's matrix product as a yardstick of this machine; benchmarks only, and only where its headers are installed.
#pragma once

#include <cstdint>
#include <optional>

namespace cohort {

// GFLOP/s of `rows` rows through the four products of a SmolLM2-135M layer, bf16, weights laid out as oneDNN likes; the best of several
// passes. Nothing when the benchmarks were built without oneDNN (onednn_absent.cpp), or it has no bf16 product for this machine.
std::optional<double> onednn_bf16_gflops(int threads, int64_t rows = 512);

}  // namespace cohort
