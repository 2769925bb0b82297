#include "trainer/entropy.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace cohort {

double quantile(std::vector<float> values, double q) {
  CHECK(!values.empty() && q >= 0 && q <= 1, "the {}-quantile of {} values", q, values.size());
  double place = q * static_cast<double>(values.size() - 1);
  if (std::abs(place - std::round(place)) < 1e-9) place = std::round(place);  // (1 - 0.7) * 10 is 3
  const auto below = static_cast<size_t>(place);
  const double part = place - static_cast<double>(below);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::ranges::nth_element(values, at);
  const auto low = static_cast<double>(*at);
  if (part == 0) return low;
  const auto high = static_cast<double>(*std::min_element(at + 1, values.end()));
  return low + part * (high - low);
}

double EntropyBonus::applied(const AlgorithmSection& a) const {
  if (!a.use_adaptive_entropy) return coefficient;
  return last_entropy >= 0 && last_entropy <= static_cast<double>(a.entropy_target) ? coefficient : 0.0;
}

void EntropyBonus::observe(const AlgorithmSection& a, double mean_entropy) {
  if (!a.use_adaptive_entropy) return;
  const auto delta = static_cast<double>(a.entropy_coef_delta);
  coefficient = mean_entropy <= static_cast<double>(a.entropy_target)
                    ? std::min(coefficient + delta, static_cast<double>(a.entropy_coef_max))
                    : std::max(coefficient - delta, static_cast<double>(a.entropy_coef_min));
  last_entropy = mean_entropy;
}

}  // namespace cohort
