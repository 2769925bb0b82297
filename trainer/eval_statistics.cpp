#include "trainer/eval_statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/check.h"
#include "core/rng.h"

namespace cohort {
namespace {

constexpr double kZ = 1.959963984540054;  // of 95 %
constexpr uint32_t kNoEpoch = UINT32_MAX;  // of Stream::kShuffle: no shuffle of data has it

}  // namespace

double pass_at_k(int64_t n, int64_t c, int64_t k) {
  CHECK(c >= 0 && c <= n && k >= 1 && k <= n, "pass@{} of {} completions, {} correct", k, n, c);
  if (n - c < k) return 1;
  double none = 1;
  for (int64_t i = n - c + 1; i <= n; ++i) none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - none;
}

std::optional<size_t> majority(size_t count, const std::function<bool(size_t)>& has_answer, const std::function<bool(size_t, size_t)>& same) {
  struct Candidate {
    size_t first;
    int64_t votes;
  };
  std::vector<Candidate> candidates;  // in the order of their first completions
  for (size_t i = 0; i < count; ++i) {
    if (!has_answer(i)) continue;
    const auto found = std::ranges::find_if(candidates, [&](const Candidate& c) { return same(c.first, i); });
    if (found == candidates.end()) {
      candidates.push_back({i, 1});
    } else {
      ++found->votes;
    }
  }
  const auto winner = std::ranges::max_element(candidates, {}, &Candidate::votes);  // the first of equals
  return winner == candidates.end() ? std::nullopt : std::optional(winner->first);
}

Interval wilson_interval(int64_t successes, int64_t trials) {
  CHECK(trials > 0 && successes >= 0 && successes <= trials, "an interval of {} successes in {} trials", successes, trials);
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n, z2 = kZ * kZ;
  const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  // At the ends the formula gives 0 and 1 but for rounding.
  return {successes == 0 ? 0.0 : middle - half, successes == trials ? 1.0 : middle + half};
}

Interval bootstrap_interval(std::span<const double> of_problems) {
  CHECK(!of_problems.empty() && of_problems.size() < UINT32_MAX, "an interval over {} problems", of_problems.size());
  const auto count = static_cast<uint32_t>(of_problems.size());
  std::vector<double> means;
  for (int64_t resample = 0; resample < kBootstrapResamples; ++resample) {
    Random random(0, Stream::kShuffle, static_cast<uint32_t>(resample), kNoEpoch);
    double sum = 0;
    for (uint32_t i = 0; i < count; ++i) sum += of_problems[random.below(count)];
    means.push_back(sum / static_cast<double>(count));
  }
  std::ranges::sort(means);
  constexpr size_t kCut = kBootstrapResamples / 40;  // 2.5 %
  return {means[kCut], means[means.size() - 1 - kCut]};
}

}  // namespace cohort
