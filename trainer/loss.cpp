#include "trainer/loss.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"

namespace cohort {
namespace {

PolicyLoss policy_loss_of(const std::string& loss_type) {
  if (loss_type == "cispo") return PolicyLoss::cispo;
  if (loss_type == "sapo") return PolicyLoss::sapo;
  if (loss_type == "reinforce") return PolicyLoss::reinforce;
  return PolicyLoss::clip;
}

LossAggregation aggregation_of(const std::string& mode, const std::string& loss_type) {
  if (mode == "seq-mean-token-mean") return LossAggregation::seq_mean_token_mean;
  if (mode == "token-mean") return LossAggregation::token_mean;
  if (mode == "seq-mean-token-sum") return LossAggregation::seq_mean_token_sum;
  if (mode == "seq-mean-token-sum-norm" || loss_type == "dr_grpo") return LossAggregation::seq_mean_token_sum_norm;
  const bool per_sequence = loss_type == "grpo" || loss_type == "gspo" || loss_type == "sapo";
  return per_sequence ? LossAggregation::seq_mean_token_mean : LossAggregation::token_mean;
}

KlTerm kl_of(const TokenInput& token, const LossConfig& config) {
  return kl_term(config.kl_estimator, token.logprob, token.ref_logprob, static_cast<double>(config.kl_input_clamp),
                 static_cast<double>(config.kl_output_clamp));
}

double log_ratio(const TokenInput& token) { return static_cast<double>(token.logprob) - static_cast<double>(token.old_logprob); }

PolicyTerm policy_of(const TokenInput& token, double ratio, const LossConfig& config) {
  return policy_term(ratio, static_cast<double>(token.logprob), static_cast<double>(token.advantage), config.policy);
}

}  // namespace

LossConfig make_loss_config(const AlgorithmSection& a) {
  return {.policy = {.kind = policy_loss_of(a.loss_type),
                     .epsilon_low = a.epsilon,
                     .epsilon_high = a.epsilon_high < 0 ? a.epsilon : a.epsilon_high,
                     .delta = a.delta,
                     .clip_ratio_c = a.clip_ratio_c,
                     .sapo_temperature_pos = a.sapo_temperature_pos,
                     .sapo_temperature_neg = a.sapo_temperature_neg},
          .aggregation = aggregation_of(a.loss_agg_mode, a.loss_type),
          .sequence_level = a.importance_sampling_level == "sequence" || a.loss_type == "gspo",
          .beta = a.use_kl_in_reward ? 0 : a.beta,
          .kl_estimator = kl_estimator_named(a.kl_estimator),
          .kl_input_clamp = a.kl_input_clamp_value,
          .kl_output_clamp = a.kl_output_clamp_value,
          .bias_corrected_kl = a.use_bias_correction_kl};
}

SequenceTerm sequence_term(std::span<const TokenInput> tokens, const LossConfig& config) {
  CHECK(!tokens.empty(), "the ratio of a sequence without tokens");
  const auto count = static_cast<double>(tokens.size());
  double sum = 0;
  for (const TokenInput& token : tokens) sum += log_ratio(token);
  SequenceTerm term{std::exp(sum / count), 0, 0};
  for (const TokenInput& token : tokens) {
    term.mean_dlogratio += static_cast<double>(token.weight) * policy_of(token, term.ratio, config).dlogratio;
    if (config.beta > 0 && config.bias_corrected_kl) term.mean_kl += kl_of(token, config).value;
  }
  term.mean_dlogratio /= count, term.mean_kl /= count;
  return term;
}

TokenLoss token_loss(const TokenInput& token, const LossConfig& config, const SequenceTerm* sequence) {
  CHECK(config.sequence_level == (sequence != nullptr), "a token's loss {} its sequence's ratio", sequence ? "with" : "without");
  const double ratio = sequence ? sequence->ratio : std::exp(log_ratio(token));
  const auto weight = static_cast<double>(token.weight);
  const PolicyTerm policy = policy_of(token, ratio, config);
  double loss = weight * policy.loss;
  double dlogprob = weight * policy.dlogprob + (sequence ? sequence->mean_dlogratio : weight * policy.dlogratio);
  TokenLoss out{};
  if (config.beta > 0) {
    const auto beta = static_cast<double>(config.beta);
    const KlTerm kl = kl_of(token, config);
    const double correction = config.bias_corrected_kl ? ratio : 1.0;
    loss += beta * (correction * kl.value);
    dlogprob += beta * (correction * kl.derivative);
    if (config.bias_corrected_kl) dlogprob += beta * ratio * (sequence ? sequence->mean_kl : kl.value);
    out.kl = static_cast<float>(correction * kl.value);
  }
  out.loss = static_cast<float>(loss);
  out.dlogprob = static_cast<float>(dlogprob);
  out.ratio = static_cast<float>(ratio);
  out.clipped_low = policy.clipped_low, out.clipped_high = policy.clipped_high;
  return out;
}

double token_weight(const LossConfig& config, const Normalisers& n, int64_t length) {
  CHECK(n.sequences > 0 && n.tokens > 0 && length > 0, "loss weights of an empty batch");
  const auto sequences = static_cast<double>(n.sequences);
  switch (config.aggregation) {
    case LossAggregation::seq_mean_token_mean:
      return 1.0 / (sequences * static_cast<double>(length));
    case LossAggregation::seq_mean_token_sum:
      return 1.0 / sequences;
    case LossAggregation::seq_mean_token_sum_norm:
      return 1.0 / (sequences * static_cast<double>(n.max_completion_length));
    case LossAggregation::token_mean:
      break;
  }
  return 1.0 / static_cast<double>(n.tokens);
}

double learning_rate_at(const OptimSection& optim, int64_t step, int64_t total) {
  const double rate = optim.learning_rate;
  const auto warmup = static_cast<int64_t>(std::ceil(optim.warmup_ratio * static_cast<double>(total)));
  if (step < warmup) return rate * static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmup));
  if (optim.lr_scheduler_type == "constant") return rate;
  const double progress =
      static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(1, total - warmup));
  if (optim.lr_scheduler_type == "linear") return rate * std::max(0.0, 1.0 - progress);
  if (optim.lr_scheduler_type == "cosine") return rate * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
  fail(ExitCode::kUsage, "unknown lr_scheduler_type '{}'; allowed: constant, linear, cosine", optim.lr_scheduler_type);
}

}  // namespace cohort
