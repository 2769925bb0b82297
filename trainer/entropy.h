// What the loss does by the entropy of the policy: which tokens it learns from, and how much it is paid to stay open.
#pragma once

#include <vector>

#include "trainer/config.h"

namespace cohort {

// The q-quantile, 0 <= q <= 1, with linear interpolation between the values beside it (as torch.quantile). Not of none.
double quantile(std::vector<float> values, double q);

// Tokens whose entropy is at least this are those of the highest `top` part of all (Wang et al. 2025, "Beyond the 80/20 rule",
// arXiv:2506.01939).
inline double entropy_threshold(std::vector<float> entropies, double top) { return quantile(std::move(entropies), 1 - top); }

// The weight of the entropy bonus: loss -= coefficient * mean entropy of the tokens that it learns from. With an adaptive one
// (Skywork-OR1, arXiv:2505.22312, as TRL does it) the bonus is applied while the entropy that was seen last is at most the
// target, and the coefficient grows by delta after each optimizer step in which it is, and else shrinks, within its bounds.
struct EntropyBonus {
  double coefficient = 0;
  double last_entropy = -1;  // of the optimizer step before; negative: there was none, and nothing is applied yet

  explicit EntropyBonus(const AlgorithmSection& a) : coefficient(static_cast<double>(a.entropy_coef)) {}
  double applied(const AlgorithmSection& a) const;
  void observe(const AlgorithmSection& a, double mean_entropy);
};
// Whether there is a bonus, now or later: all tokens then are run, also of groups without a signal.
inline bool has_entropy_bonus(const AlgorithmSection& a) { return a.entropy_coef > 0 || a.use_adaptive_entropy; }

}  // namespace cohort
