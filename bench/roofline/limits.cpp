#include "bench/roofline/limits.h"

#include <algorithm>
#include <map>

namespace cohort::roofline {

const std::array<Limits, 3>& datasheets() {
  static const std::array<Limits, 3> kSheets = {{
      {"H100 SXM", 3350, 990, 132, 1.755, 50, 2},
      {"A100 80 GB", 2039, 312, 108, 1.41, 40, 2},
      {"RTX 4090", 1008, 165, 128, 2.52, 72, 2},
  }};
  return kSheets;
}

Bound bound_of(const Work& work, const Limits& limits) {
  Bound bound;
  std::map<std::string_view, double> shares;
  constexpr std::array<const char*, 5> kParts = {"memory", "products", "shared memory", "instructions", "launches"};
  for (const Phase& phase : work) {
    const double bytes = phase.bytes + (phase.chunk > limits.l2_mb * 1e6 ? phase.chunk_bytes : 0);
    const std::array<double, 5> us = {bytes / (limits.memory_gb_s * 1e3), phase.flops / (limits.bf16_tflops * 1e6),
                                      phase.shared_bytes / (limits.shared_bytes_s() * 1e-6),
                                      phase.instructions / (limits.instructions_s() * 1e-6),
                                      static_cast<double>(phase.launches + phase.products + phase.clears) * limits.launch_us};
    const auto most = std::ranges::max_element(us);
    bound.us += *most;
    bound.work_us += *std::max_element(us.begin(), us.end() - 1);
    shares[kParts[static_cast<size_t>(most - us.begin())]] += *most;
  }
  double largest = -1;
  for (const char* part : kParts) {
    const auto at = shares.find(part);
    if (at != shares.end() && at->second > largest) largest = at->second, bound.by = part;
  }
  return bound;
}

}  // namespace cohort::roofline
