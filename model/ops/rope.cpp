// The frequencies of rotary embeddings, the same for every device.
#include "model/ops/rope.h"

#include <cmath>

#include "core/check.h"

namespace cohort {

std::vector<float> rope_inverse_frequencies(int64_t head_size, float theta) {
  CHECK(head_size > 0 && head_size % 2 == 0, "rope: head size {}, must be even", head_size);
  CHECK(theta > 0 && std::isfinite(theta), "rope: theta {}, must be positive", theta);
  std::vector<float> frequencies(static_cast<size_t>(head_size / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_size);
    frequencies[i] = 1.0f / std::pow(theta, exponent);
  }
  return frequencies;
}

}  // namespace cohort
