#include "trainer/kl.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace cohort {

KlEstimator kl_estimator_named(std::string_view name) {
  if (name == "k1") return KlEstimator::k1;
  if (name == "k2") return KlEstimator::k2;
  if (name == "k3") return KlEstimator::k3;
  fail(ExitCode::kUsage, "unknown kl_estimator '{}'; allowed: k1, k2, k3", name);
}

KlTerm kl_term(KlEstimator estimator, float logprob, float ref_logprob, double input_clamp, double output_clamp) {
  double d = static_cast<double>(ref_logprob) - static_cast<double>(logprob);
  const bool inside = input_clamp <= 0 || std::abs(d) <= input_clamp;
  if (!inside) d = std::clamp(d, -input_clamp, input_clamp);
  KlTerm term{-d, 1};
  if (estimator == KlEstimator::k2) term = {d * d / 2, -d};
  if (estimator == KlEstimator::k3) term = {std::expm1(d) - d, -std::expm1(d)};
  if (!inside) term.derivative = 0;
  if (output_clamp > 0 && std::abs(term.value) > output_clamp)
    term = {std::clamp(term.value, -output_clamp, output_clamp), 0};
  return term;
}

}  // namespace cohort
