#include "trainer/select_completions.h"

#include <algorithm>

#include "core/check.h"

namespace cohort {
namespace {

// Completions that have a reward, the highest first; of equals the earlier one.
std::vector<size_t> ranked(std::span<const std::optional<double>> rewards) {
  std::vector<size_t> order;
  for (size_t i = 0; i < rewards.size(); ++i)
    if (rewards[i]) order.push_back(i);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return *rewards[a] > *rewards[b]; });
  return order;
}

// The mean first: two sums would cancel.
double spread(std::span<const std::optional<double>> rewards, std::span<const size_t> highest, std::span<const size_t> lowest) {
  double sum = 0, squares = 0;
  for (const auto part : {highest, lowest})
    for (const size_t i : part) sum += *rewards[i];
  const double mean = sum / static_cast<double>(highest.size() + lowest.size());
  for (const auto part : {highest, lowest})
    for (const size_t i : part) squares += (*rewards[i] - mean) * (*rewards[i] - mean);
  return squares;
}

}  // namespace

std::vector<bool> select_best(std::span<const std::optional<double>> rewards, int64_t k) {
  CHECK(k > 0, "the best {} completions", k);
  std::vector<size_t> order = ranked(rewards);
  order.resize(std::min(order.size(), static_cast<size_t>(k)));
  std::vector<bool> selected(rewards.size());
  for (const size_t i : order) selected[i] = true;
  return selected;
}

std::vector<bool> select_max_variance(std::span<const std::optional<double>> rewards, int64_t k) {
  CHECK(k > 0, "{} completions of the largest variance", k);
  const std::vector<size_t> highest_first = ranked(rewards);
  // The lowest from the other side: of equals the earlier one again.
  std::vector<size_t> lowest_first = highest_first;
  std::ranges::stable_sort(lowest_first, [&](size_t a, size_t b) { return *rewards[a] < *rewards[b] || (*rewards[a] == *rewards[b] && a < b); });
  const size_t count = std::min(highest_first.size(), static_cast<size_t>(k));
  std::vector<bool> selected(rewards.size());
  if (count == 0) return selected;
  size_t best = count;
  double largest = 0;  // all equal: the highest
  for (size_t high = count + 1; high-- > 0;) {
    const std::span<const size_t> highest(highest_first.begin(), high), lowest(lowest_first.begin(), count - high);
    // Sets that mirror each other are equally good, whatever rounding says.
    if (const double found = spread(rewards, highest, lowest); found > largest * (1 + 1e-12)) largest = found, best = high;
  }
  for (size_t i = 0; i < best; ++i) selected[highest_first[i]] = true;
  size_t missing = count - best;
  for (const size_t i : lowest_first) {
    if (missing == 0) break;
    if (selected[i]) continue;  // equals, which both orders begin with
    selected[i] = true;
    --missing;
  }
  return selected;
}

void select_completions(std::span<Group> groups, const AlgorithmSection& a) {
  if (a.select_completions == "all") return;
  for (Group& group : groups) {
    std::vector<std::optional<double>> totals;
    for (const RewardSet::Row& row : group.scores) totals.push_back(row.total);
    group.selected = a.select_completions == "best" ? select_best(totals, a.num_selected) : select_max_variance(totals, a.num_selected);
  }
}

}  // namespace cohort
