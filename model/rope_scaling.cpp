#include "model/rope_scaling.h"

#include <numbers>

#include "model/ops/rope.h"

namespace cohort {

std::vector<float> rope_frequencies(const RopeConfig& rope, int64_t head_size) {
  std::vector<float> frequencies = rope_inverse_frequencies(head_size, rope.theta);
  if (rope.type == RopeConfig::Type::standard) return frequencies;
  const float length = static_cast<float>(rope.original_max_positions);
  const float low = rope.low_freq_factor, high = rope.high_freq_factor;
  for (float& frequency : frequencies) {
    if (rope.type == RopeConfig::Type::linear) {
      frequency /= rope.factor;
      continue;
    }
    // Short waves stay, long ones are stretched by factor, those between are blended.
    const float wave = static_cast<float>(2 * std::numbers::pi) / frequency;
    if (wave < length / high) continue;
    if (wave > length / low) {
      frequency /= rope.factor;
      continue;
    }
    const float smooth = (length / wave - low) / (high - low);
    frequency = (1 - smooth) * frequency / rope.factor + smooth * frequency;
  }
  return frequencies;
}

}  // namespace cohort
