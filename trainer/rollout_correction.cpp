#include "trainer/rollout_correction.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "trainer/loss.h"

namespace cohort {
namespace {

CorrectionKind kind_named(const std::string& name) {
  if (name == "none") return CorrectionKind::none;
  if (name == "token_truncate") return CorrectionKind::token_truncate;
  if (name == "token_mask") return CorrectionKind::token_mask;
  if (name == "sequence_truncate") return CorrectionKind::sequence_truncate;
  if (name == "sequence_mask") return CorrectionKind::sequence_mask;
  fail(ExitCode::kUsage, "unknown rollout_correction '{}'; allowed: none, token_truncate, token_mask, sequence_truncate, sequence_mask", name);
}

}  // namespace

RolloutCorrection make_rollout_correction(const AlgorithmSection& a) {
  RolloutCorrection correction{.kind = kind_named(a.rollout_correction),
                               .max = static_cast<double>(a.rollout_correction_max),
                               .min = static_cast<double>(a.rollout_correction_min)};
  const bool has_ratio = a.loss_type != "reinforce";
  correction.proximal = a.old_policy == "proximal" || (a.old_policy == "auto" && correction.is_on() && has_ratio);
  correction.mask_only = has_ratio && !correction.proximal;
  return correction;
}

bool old_policy_takes_a_pass(const AlgorithmSection& a) {
  const RolloutCorrection correction = make_rollout_correction(a);
  return correction.needs_old() && (a.num_iterations * a.steps_per_generation > 1 || correction.of_sequences() || make_loss_config(a).sequence_level);
}

double correction_weight(double log_ratio, const RolloutCorrection& correction) {
  if (!correction.is_on()) return 1;
  const double ratio = std::exp(log_ratio);
  if (!correction.masks()) return std::clamp(ratio, correction.min, correction.max);
  if (!(ratio >= correction.min && ratio <= correction.max)) return 0;
  return correction.mask_only ? 1 : ratio;
}

double sequence_log_ratio(std::span<const float> old_logprobs, std::span<const float> recorded) {
  CHECK(old_logprobs.size() == recorded.size(), "{} log-probs of the old policy, {} were recorded", old_logprobs.size(), recorded.size());
  double sum = 0;
  for (size_t i = 0; i < recorded.size(); ++i) sum += static_cast<double>(old_logprobs[i]) - static_cast<double>(recorded[i]);
  return sum;
}

}  // namespace cohort
