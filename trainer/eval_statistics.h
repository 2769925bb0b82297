// Statistics of an evaluation, from plain numbers: pass@k, the majority's answer, confidence intervals. Each formula once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace cohort {

// The chance that at least one of k completions is correct, from n of which c are: the unbiased estimator of Chen et al. 2021
// (arXiv:2107.03374, equation 1), 1 - C(n-c, k) / C(n, k), as the product 1 - prod_{i=n-c+1}^{n} (1 - k/i), which neither overflows
// nor cancels. 0 <= c <= n, 1 <= k <= n.
double pass_at_k(int64_t n, int64_t c, int64_t k);

// Self-consistency (Wang et al. 2022, arXiv:2203.11171): the answer that most completions give. Of `count` completions those that
// have an answer vote; `same(a, b)` says whether two give the same one, and a vote counts for the first completion that has it. Returns
// that of the winner; with equally many votes the one that came first; nothing when none has an answer.
std::optional<size_t> majority(size_t count, const std::function<bool(size_t)>& has_answer, const std::function<bool(size_t, size_t)>& same);

struct Interval {
  double low = 0, high = 0;
  bool operator==(const Interval&) const = default;
};

// 95 % intervals. Wilson's score interval (1927) for `successes` of `trials` independent answers that are right or wrong.
Interval wilson_interval(int64_t successes, int64_t trials);

// The percentile bootstrap (Efron 1979) of a mean over problems: problems are drawn again with replacement, kBootstrapResamples times,
// and the middle 95 % of the means are the interval. What lies within a problem stays together (clusters). The draws are a function of
// the number of problems alone.
constexpr int64_t kBootstrapResamples = 2000;
Interval bootstrap_interval(std::span<const double> of_problems);

}  // namespace cohort
