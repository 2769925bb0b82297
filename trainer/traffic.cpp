#include "trainer/traffic.h"

#include <algorithm>
#include <vector>

#include "trainer/gradient_sum.h"

namespace cohort {
namespace {

// For each rank: elements of its span, and the sums that it holds before they are exchanged.
struct Holding {
  int64_t span, sums;
};

std::vector<Holding> holdings(int64_t table_size, int logical_ranks, int ranks) {
  std::vector<Holding> all;
  for (int rank = 0; rank < ranks; ++rank) {
    const LogicalRange range = logical_range(logical_ranks, rank, ranks);
    all.push_back({(range.last - range.first) * (table_size / logical_ranks), static_cast<int64_t>(covering_nodes(range).size())});
  }
  return all;
}

RankTraffic traffic_of(const std::vector<Holding>& all, size_t rank, int64_t table_size, int64_t all_sums, DType weights) {
  const auto element = static_cast<int64_t>(dtype_size(weights)), others = static_cast<int64_t>(all.size()) - 1;
  const Holding& mine = all[rank];
  return {.gradients_sent = mine.sums * (table_size - mine.span) * 4,
          .gradients_received = (all_sums - mine.sums) * mine.span * 4,
          .weights_sent = others * mine.span * element,
          .weights_received = (table_size - mine.span) * element};
}

int64_t sum_of_sums(const std::vector<Holding>& all) {
  int64_t sum = 0;
  for (const Holding& h : all) sum += h.sums;
  return sum;
}

}  // namespace

RankTraffic rank_traffic(int64_t table_size, DType weights, int logical_ranks, int rank, int ranks) {
  if (ranks == 1) return {};
  const std::vector<Holding> all = holdings(table_size, logical_ranks, ranks);
  return traffic_of(all, static_cast<size_t>(rank), table_size, sum_of_sums(all), weights);
}

RankTraffic largest_traffic(int64_t table_size, DType weights, int logical_ranks, int ranks) {
  RankTraffic largest;
  if (ranks == 1) return largest;
  const std::vector<Holding> all = holdings(table_size, logical_ranks, ranks);
  const int64_t sums = sum_of_sums(all);
  for (size_t rank = 0; rank < all.size(); ++rank) {
    const RankTraffic traffic = traffic_of(all, rank, table_size, sums, weights);
    if (traffic.sent() + traffic.received() > largest.sent() + largest.received()) largest = traffic;
  }
  return largest;
}

int64_t collectives_of_step(int64_t table_size, int logical_ranks, int ranks) {
  if (ranks == 1) return 0;
  int64_t span = 0, rounds = 0;
  for (const Holding& h : holdings(table_size, logical_ranks, ranks)) span = std::max(span, h.span), rounds = std::max(rounds, h.sums);
  const auto pieces = [&](int64_t piece) { return (span + piece - 1) / piece; };
  // Gradients, their norm, weights (whole panels and all others); the loss, completions with their rewards, the request to stop.
  return rounds * pieces(kExchangedGradients) + 1 + 2 + 3;
}

}  // namespace cohort
