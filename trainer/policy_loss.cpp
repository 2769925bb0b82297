#include "trainer/policy_loss.h"

#include <algorithm>
#include <cmath>

namespace cohort {
namespace {

PolicyTerm clip_term(double ratio, double a, const PolicyLossConfig& config) {
  const double low = 1.0 - static_cast<double>(config.epsilon_low), high = 1.0 + static_cast<double>(config.epsilon_high);
  const auto delta = static_cast<double>(config.delta), c = static_cast<double>(config.clip_ratio_c);
  const bool capped = delta > 0 && ratio > delta;
  const double plain_objective = (capped ? delta : ratio) * a, clipped_objective = std::clamp(ratio, low, high) * a;
  // Where the clipped branch is the smaller one it is constant in logprob.
  PolicyTerm term{-std::min(plain_objective, clipped_objective), plain_objective <= clipped_objective && !capped ? -a * ratio : 0.0, 0};
  if (c > 0 && a < 0 && term.loss > -c * a) term = {-c * a, 0, 0};
  term.clipped_low = ratio < low && a < 0;
  term.clipped_high = ratio > high && a > 0;
  return term;
}

PolicyTerm cispo_term(double ratio, double logprob, double a, const PolicyLossConfig& config) {
  const auto cap = static_cast<double>(config.epsilon_high);
  const double weight = std::min(ratio, cap);
  PolicyTerm term{-weight * a * logprob, 0, -weight * a};
  term.clipped_high = ratio > cap && a > 0;
  return term;
}

PolicyTerm sapo_term(double ratio, double a, const PolicyLossConfig& config) {
  const auto t = static_cast<double>(a > 0 ? config.sapo_temperature_pos : config.sapo_temperature_neg);
  const double gate = 1 / (1 + std::exp(-t * (ratio - 1)));
  return {-4 / t * gate * a, -4 * gate * (1 - gate) * ratio * a, 0};
}

}  // namespace

PolicyTerm policy_term(double ratio, double logprob, double advantage, const PolicyLossConfig& config) {
  switch (config.kind) {
    case PolicyLoss::cispo:
      return cispo_term(ratio, logprob, advantage, config);
    case PolicyLoss::sapo:
      return sapo_term(ratio, advantage, config);
    case PolicyLoss::reinforce:
      return {-advantage * logprob, 0, -advantage};
    case PolicyLoss::clip:
      break;
  }
  return clip_term(ratio, advantage, config);
}

}  // namespace cohort
