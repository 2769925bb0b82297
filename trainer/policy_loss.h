// The policy term of the loss of one token: each formula once, with its paper. In double: exp() of a float32 difference
// would cost four of the seven digits that a gradient has.
#pragma once

#include <string_view>

namespace cohort {

// What a token's loss is made of. Those with an own normaliser only (bnpo, dapo, dr_grpo, gspo) are `clip`.
enum class PolicyLoss { clip, cispo, sapo, reinforce };

struct PolicyLossConfig {
  PolicyLoss kind = PolicyLoss::clip;
  float epsilon_low = 0.2f, epsilon_high = 0.2f;  // cispo: epsilon_high is the cap itself
  float delta = 0, clip_ratio_c = 0;              // 0: off
  float sapo_temperature_pos = 1.0f, sapo_temperature_neg = 1.05f;
};

struct PolicyTerm {
  double loss;
  double dlogratio;  // d loss / d log ratio: what goes through the ratio
  double dlogprob;   // d loss / d logprob beside that, the ratio held fixed
  bool clipped_low = false, clipped_high = false;
};

// With r = `ratio`, the token's exp(logprob - old_logprob) or its sequence's (trainer/sequence_loss.h), A = `advantage`:
//   clip       -min(r A, clip(r, 1 - epsilon_low, 1 + epsilon_high) A)              PPO, arXiv:1707.06347, equation 7; with two
//              epsilons DAPO, arXiv:2503.14476, equation 10
//     delta    r is at most delta in the first of the two (INTELLECT-2, arXiv:2505.07291: two-sided clipping)
//     clip_ratio_c   where A < 0: min(that, -c A)                                   dual clip, arXiv:1912.09729, equation 5
//   cispo      -sg[min(r, epsilon_high)] A logprob                                  MiniMax-M1, arXiv:2506.13585, equation 4
//   sapo       -4 / t sigmoid(t (r - 1)) A, t = sapo_temperature_pos where A > 0, else _neg       arXiv:2511.20347, equation 6
//   reinforce  -A logprob                                                           Williams 1992
// clipped_low: r < 1 - epsilon_low and A < 0; clipped_high: r > 1 + epsilon_high and A > 0 (cispo: r > epsilon_high).
PolicyTerm policy_term(double ratio, double logprob, double advantage, const PolicyLossConfig& config);

}  // namespace cohort
