// The loss of one token (policy term and KL term), and how tokens are weighted into the objective.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "trainer/config.h"
#include "trainer/kl.h"
#include "trainer/policy_loss.h"

namespace cohort {

// How token losses are added up (verl's loss_agg_mode, with its names as words of the config).
enum class LossAggregation { seq_mean_token_mean, token_mean, seq_mean_token_sum, seq_mean_token_sum_norm };

// What algorithm.loss_type, loss_agg_mode and importance_sampling_level come to, with their `auto` resolved.
struct LossConfig {
  PolicyLossConfig policy;
  LossAggregation aggregation = LossAggregation::token_mean;
  bool sequence_level = false;  // the ratio is the sequence's, not the token's
  float beta = 0;               // of the KL term in the loss; 0 where the KL is part of the reward
  KlEstimator kl_estimator = KlEstimator::k3;
  float kl_input_clamp = 0, kl_output_clamp = 0;
  bool bias_corrected_kl = false;
};
LossConfig make_loss_config(const AlgorithmSection& algorithm);

struct TokenInput {
  float logprob, old_logprob, ref_logprob;  // now, at sampling, of the reference
  float advantage;
  float weight = 1;  // of the policy term: 0 leaves the token to the KL term alone
};

// What the tokens of a sequence share when the ratio is the sequence's (GSPO).
struct SequenceTerm {
  double ratio;           // s = exp(mean over tokens of log ratio)       arXiv:2507.18071, equation 7
  double mean_dlogratio;  // mean over tokens of weight * d policy term / d log s
  double mean_kl;         // mean over tokens of the KL estimate, 0 where it is not needed
};
SequenceTerm sequence_term(std::span<const TokenInput> tokens, const LossConfig& config);

struct TokenLoss {
  float loss, dlogprob;  // dlogprob = d (sum of the sequence's losses) / d logprob
  float ratio, kl;       // kl: with its correction, as it stands in the loss
  bool clipped_low, clipped_high;
};

// loss = weight policy_term(r) + beta c k     with k the estimate of trainer/kl.h and c = 1, or c = r where the KL is corrected
// for bias: its tokens are drawn from the old policy, not from this one (DeepSeek-V3.2, arXiv:2512.02556, section 3.1).
// `sequence`: of the token's sequence, when config.sequence_level.
TokenLoss token_loss(const TokenInput& token, const LossConfig& config, const SequenceTerm* sequence = nullptr);

// What the objective divides by: counts over all that an optimizer step learns from, on all ranks.
struct Normalisers {
  int64_t sequences = 0, tokens = 0, max_completion_length = 0;
};
// The factor of each token of a completion of `length` tokens:
//   seq_mean_token_mean      1 / (sequences * length)                    GRPO, arXiv:2402.03300, equation 3: mean over sequences of the mean over tokens
//   token_mean               1 / tokens                                  DAPO, arXiv:2503.14476, equation 12: mean over all tokens
//   seq_mean_token_sum       1 / sequences                               RLOO, arXiv:2402.14740: log-probs of whole sequences
//   seq_mean_token_sum_norm  1 / (sequences * max_completion_length)     Dr. GRPO, arXiv:2503.20783: no length bias
double token_weight(const LossConfig& config, const Normalisers& n, int64_t length);

// The learning rate of optimizer step `step` (0-based) of `total`: linear warm-up from 0 over ceil(warmup_ratio * total)
// steps, then constant, linear to 0 or cosine to 0 (as transformers' get_scheduler).
double learning_rate_at(const OptimSection& optim, int64_t step, int64_t total);

}  // namespace cohort
