#include "trainer/advantage.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace cohort {

bool group_advantages(std::span<float> advantages, std::span<const std::optional<double>> rewards,
                      ScaleRewards scale) {
  CHECK(advantages.size() == rewards.size(), "{} advantages for {} rewards", advantages.size(), rewards.size());
  std::ranges::fill(advantages, 0.0f);
  double sum = 0, count = 0;
  std::optional<double> first;
  bool constant = true;
  for (const std::optional<double>& reward : rewards) {
    if (!reward) continue;
    if (!first) first = reward;
    constant = constant && *reward == *first;  // by equality: rounding in mean or std must not invent a signal
    sum += *reward;
    count += 1;
  }
  if (constant) return false;
  const double mean = sum / count;
  double squares = 0;
  for (const std::optional<double>& reward : rewards)
    if (reward) squares += (*reward - mean) * (*reward - mean);
  const double divisor = scale == ScaleRewards::group ? std::sqrt(squares / (count - 1)) + 1e-4 : 1.0;
  for (size_t i = 0; i < rewards.size(); ++i)
    if (rewards[i]) advantages[i] = static_cast<float>((*rewards[i] - mean) / divisor);
  return true;
}

}  // namespace cohort
