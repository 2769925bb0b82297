// The clipped policy-gradient loss of one token, and how tokens are weighted into the objective.
#pragma once

#include <cstdint>
#include <string>

#include "trainer/config.h"

namespace cohort {

struct LossConfig {
  std::string loss_type = "dapo";
  float beta = 0, epsilon_low = 0.2f, epsilon_high = 0.2f;
};
LossConfig make_loss_config(const AlgorithmSection& algorithm);

struct TokenLoss {
  float loss, dlogprob;  // dlogprob = d loss / d logprob
  float ratio, kl;
  bool clipped_low, clipped_high;  // the clip was active: ratio < 1 - low with A < 0, or ratio > 1 + high with A > 0
};

// ratio r = exp(logprob - old_logprob);  loss = -min(r A, clip(r, 1 - low, 1 + high) A) + beta k3     (PPO, Schulman et al.
// 2017, eq. 7; k3 = exp(d) - d - 1, d = ref_logprob - logprob, Schulman 2020, as in DeepSeekMath eq. 4)
TokenLoss token_loss(float logprob, float old_logprob, float ref_logprob, float advantage, const LossConfig& config);

// What the objective divides by: counts over the whole step and all ranks.
struct Normalisers {
  int64_t sequences = 0, tokens = 0, max_completion_length = 0;
};
// The factor of each token of a completion of `length` tokens:
//   grpo     1 / (sequences * length)                    mean over sequences of the mean over tokens
//   dapo     1 / tokens                                  mean over all tokens (Yu et al. 2025)
//   dr_grpo  1 / (sequences * max_completion_length)     no length bias (Liu et al. 2025)
double token_weight(const LossConfig& config, const Normalisers& n, int64_t length);

// The learning rate of optimizer step `step` (0-based) of `total`: linear warm-up from 0 over ceil(warmup_ratio * total)
// steps, then constant, linear to 0 or cosine to 0 (as transformers' get_scheduler).
double learning_rate_at(const OptimSection& optim, int64_t step, int64_t total);

}  // namespace cohort
