// Best-of-n: of the completions that were sampled for a prompt, which ones the update sees.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "trainer/config.h"
#include "trainer/packs.h"

namespace cohort {

// The k of the highest reward (RAFT, arXiv:2304.06767: the best of n; RAFT++, arXiv:2504.11343). Of equals the earlier; a completion
// without a reward is never among them.
std::vector<bool> select_best(std::span<const std::optional<double>> rewards, int64_t k);

// The k whose rewards have the largest variance (PODS, arXiv:2504.13818): some i of the highest and k - i of the lowest, as no other set
// has more. Of equally good i the largest; of equal rewards the earlier completion. Without a reward: never.
std::vector<bool> select_max_variance(std::span<const std::optional<double>> rewards, int64_t k);

// Sets Group::selected by algorithm.select_completions from the totals; leaves it empty with `all`.
void select_completions(std::span<Group> groups, const AlgorithmSection& algorithm);

}  // namespace cohort
