// Built where oneDNN is not installed.
#include "bench/onednn.h"

namespace cohort {
std::optional<double> onednn_bf16_gflops(int, int64_t) { return std::nullopt; }
}  // namespace cohort
