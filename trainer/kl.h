// Estimators of KL(policy || reference) from one sampled token (Schulman 2020, "Approximating KL Divergence").
#pragma once

#include <string_view>

namespace cohort {

enum class KlEstimator { k1, k2, k3 };
KlEstimator kl_estimator_named(std::string_view name);

struct KlTerm {
  double value, derivative;  // d value / d logprob
};

// With d = ref_logprob - logprob:
//   k1 = -d               unbiased, of either sign; as a loss its gradient does not know the reference
//   k2 = d^2 / 2          biased; its gradient is that of the KL divergence in expectation (Tang and Munos 2025)
//   k3 = e^d - d - 1      unbiased and never negative (DeepSeekMath, arXiv:2402.03300, equation 4)
// `input_clamp` > 0 bounds d, `output_clamp` > 0 the value, both on either side; beyond a bound the derivative is 0.
KlTerm kl_term(KlEstimator estimator, float logprob, float ref_logprob, double input_clamp = 0, double output_clamp = 0);

}  // namespace cohort
