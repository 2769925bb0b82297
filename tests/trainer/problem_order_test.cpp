// The order of the problems: one source as ever, several in the proportion of their weights, each in epochs of its own.
#include "trainer/problem_order.h"

#include <cmath>
#include <map>

#include "core/rng.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

Dataset of_sizes(const std::vector<std::pair<int64_t, double>>& sources) {
  Dataset data;
  for (const auto& [size, weight] : sources) {
    const auto begin = static_cast<int64_t>(data.problems.size());
    data.parts.push_back({.name = "s", .file = "", .weight = weight, .begin = begin, .end = begin + size});
    data.problems.resize(static_cast<size_t>(begin + size));
  }
  return data;
}

TEST(MixtureShares, AreTheWeightsExactly) {
  using Shares = std::vector<uint64_t>;
  EXPECT_EQ(mixture_shares(std::vector<double>{1}), Shares{1});
  EXPECT_EQ(mixture_shares(std::vector<double>{3, 1}), (Shares{3, 1}));
  EXPECT_EQ(mixture_shares(std::vector<double>{0.7, 0.3}), (Shares{7, 3}));
  EXPECT_EQ(mixture_shares(std::vector<double>{0.25, 1, 2.5}), (Shares{25, 100, 250}));
  EXPECT_EQ(mixture_shares(std::vector<double>{1e-6, 1}), (Shares{1, 1000000}));
  const Shares thirds = mixture_shares(std::vector<double>{1.0 / 3, 1});
  EXPECT_NEAR(static_cast<double>(thirds[0]) / static_cast<double>(thirds[1]), 1.0 / 3, 1e-9);
  EXPECT_ERROR(mixture_shares(std::vector<double>{1, 0}), kInternal, "weights from 0");
}

// The slow twin: walks from the beginning and counts.
TEST(Mixture, PlacesAreCountedWithoutAHistory) {
  Random random(11, Stream::kTest);
  for (int round = 0; round < 40; ++round) {
    std::vector<uint64_t> shares;
    for (uint32_t s = 0; s <= random.below(5); ++s) shares.push_back(1 + random.below(round % 2 == 0 ? 9 : 1000));
    double all = 0;
    for (const uint64_t share : shares) all += static_cast<double>(share);
    std::vector<int64_t> counts(shares.size());
    for (int64_t position = 0; position < 500; ++position) {
      const MixturePlace place = place_in_mixture(position, shares);
      ASSERT_LT(place.source, shares.size());
      ASSERT_EQ(place.position, counts[place.source]++) << "round " << round << ", place " << position;
      for (size_t s = 0; s < shares.size(); ++s)
        ASSERT_LT(std::abs(static_cast<double>(counts[s]) - static_cast<double>(position + 1) * static_cast<double>(shares[s]) / all),
                  std::max(1.0, static_cast<double>(shares.size()) - 1));
    }
  }
}

TEST(Mixture, WholeRoundsHaveWholeShares) {
  const std::vector<uint64_t> shares = {5, 3, 2};
  for (const int64_t round : {int64_t{0}, int64_t{1}, int64_t{1} << 40}) {
    std::map<size_t, int> counts;
    for (int64_t i = 0; i < 10; ++i) ++counts[place_in_mixture(10 * round + i, shares).source];
    EXPECT_EQ(counts, (std::map<size_t, int>{{0, 5}, {1, 3}, {2, 2}})) << round;
  }
}

TEST(ProblemOrder, OneSourceIsGoneThroughAsEver) {
  for (const bool shuffle : {true, false})
    for (const Dataset& data : {Dataset{.problems = std::vector<Problem>(7)}, of_sizes({{7, 2.5}})}) {
      ProblemOrder order(data, 42, shuffle);
      for (int64_t step = 1; step <= 9; ++step) EXPECT_EQ(order.step(step, 5), step_problems(step, 5, 7, 42, shuffle)) << step;
    }
}

TEST(ProblemOrder, EachSourceHasItsEpochs) {
  const Dataset data = of_sizes({{4, 1}, {3, 2}, {50, 1}});
  ProblemOrder order(data, 7, true);
  std::map<int64_t, int> seen;
  std::vector<std::vector<int64_t>> of_source(3);
  for (const int64_t problem : order.step(1, 48)) {
    ++seen[problem];
    of_source[problem < 4 ? 0 : problem < 7 ? 1 : 2].push_back(problem);
  }
  EXPECT_EQ(of_source[0].size(), 12u);
  EXPECT_EQ(of_source[1].size(), 24u);
  EXPECT_EQ(of_source[2].size(), 12u);
  for (int64_t problem = 0; problem < 4; ++problem) EXPECT_EQ(seen[problem], 3) << problem;
  for (int64_t problem = 4; problem < 7; ++problem) EXPECT_EQ(seen[problem], 8) << problem;
  for (const auto& [problem, times] : seen) EXPECT_TRUE(problem < 7 || times == 1) << problem;
  // Each epoch has an order of its own, and so has each source.
  const std::vector<int64_t> first(of_source[1].begin(), of_source[1].begin() + 12), second(of_source[1].begin() + 12, of_source[1].end());
  EXPECT_NE(first, second);
  EXPECT_NE(epoch_order(0, 50, 7, 0), epoch_order(0, 50, 7, 1));
  EXPECT_EQ(epoch_order(3, 50, 7, 2), epoch_order(3, 50, 7, 2));
}

// Whatever was asked for before: a run that goes on from a checkpoint asks for later steps only.
TEST(ProblemOrder, AnyStepCanBeAskedForFirst) {
  const Dataset data = of_sizes({{4, 1}, {3, 2.5}, {50, 0.3}});
  ProblemOrder walked(data, 7, true);
  for (int64_t step = 1; step <= 60; ++step) {
    ProblemOrder fresh(data, 7, true);
    EXPECT_EQ(walked.step(step, 8), fresh.step(step, 8)) << step;
  }
  // Neither does it matter in what portions.
  ProblemOrder ones(data, 7, true);
  std::vector<int64_t> all;
  for (int64_t step = 1; step <= 24; ++step) all.push_back(ones.step(step, 1)[0]);
  EXPECT_EQ(all, ProblemOrder(data, 7, true).step(1, 24));
  EXPECT_NE(all, ProblemOrder(data, 8, true).step(1, 24));
}

TEST(ProblemOrder, ImpossibleArgumentsAreInternalErrors) {
  EXPECT_ERROR(ProblemOrder(Dataset{}, 1, true), kInternal, "the order of no problems");
  ProblemOrder order(of_sizes({{4, 1}}), 1, true);
  EXPECT_ERROR(order.step(0, 1), kInternal, "step 0");
  EXPECT_ERROR(order.step(INT64_MAX, 2), kInternal, "of 2 prompts");
}

}  // namespace
}  // namespace cohort
