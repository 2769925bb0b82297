// What tokens count that an older policy has sampled (rollout.staleness, groups carried over), and what the loss's ratio is of.
//
// Three policies: mu sampled, and its log-probs were recorded then; pi_old is the one that a step's update begins with; pi is being
// trained. With rho_t = pi_old(t) / mu(t) of a token and rho = product of rho_t of its completion:
//
//   old_policy
//     recorded   the ratio is pi / mu: mu is PPO's old policy                          PPO, arXiv:1707.06347, equation 7
//     proximal   the ratio is pi / pi_old, and mu is corrected for by the weight w     decoupled PPO: Hilton et al. 2021, arXiv:2110.00641; AReaL, arXiv:2505.24298
//
//   rollout_correction: the policy term of each token is multiplied by w, which has no gradient
//     token_truncate      w = min(max(rho_t, min), max)            truncated importance sampling: Ionides 2008; Yao et al. 2025
//     token_mask          w = rho_t where min <= rho_t <= max, else 0       IcePop: arXiv:2510.18855
//     sequence_truncate   the same two with rho of the completion, for each of its tokens
//     sequence_mask
//
// Masks with old_policy recorded: w = 1 inside of the bounds, as the ratio corrects already; and so does loss_type reinforce, which has
// no ratio, with old_policy recorded and all of the four: w is its correction.
#pragma once

#include <span>

#include "trainer/config.h"

namespace cohort {

enum class CorrectionKind { none, token_truncate, token_mask, sequence_truncate, sequence_mask };

struct RolloutCorrection {
  CorrectionKind kind = CorrectionKind::none;
  double max = 2, min = 0;
  bool proximal = false;   // old_policy, with its `auto` resolved
  bool mask_only = false;  // a ratio of the loss is of mu already

  bool is_on() const { return kind != CorrectionKind::none; }
  bool of_sequences() const { return kind == CorrectionKind::sequence_truncate || kind == CorrectionKind::sequence_mask; }
  bool masks() const { return kind == CorrectionKind::token_mask || kind == CorrectionKind::sequence_mask; }
  // Whether pi_old's log-probs are asked for.
  bool needs_old() const { return proximal || is_on(); }
};
RolloutCorrection make_rollout_correction(const AlgorithmSection& algorithm);

// Whether pi_old's log-probs take a forward pass of their own: where one update learns from tokens alone, its own says them.
bool old_policy_takes_a_pass(const AlgorithmSection& algorithm);

// w, of log rho_t or log rho = sum of log rho_t.
double correction_weight(double log_ratio, const RolloutCorrection& correction);
// log rho of a completion.
double sequence_log_ratio(std::span<const float> old_logprobs, std::span<const float> recorded);

}  // namespace cohort
