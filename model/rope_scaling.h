// The frequencies of a RopeConfig.
#pragma once

#include <vector>

#include "model/config.h"

namespace cohort {

// head_size / 2 frequencies, in the float32 steps of transformers (modeling_rope_utils.py).
std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_size);

}  // namespace cohort
