#include "trainer/gradient_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <random>

#include "core/check.h"
#include "tests/trainer/thread_comm.h"

namespace cohort {
namespace {

using Values = std::vector<float>;

// The gradients of a step: for each leaf those of its packs, in order. A leaf without packs is not
// used.
using Step = std::vector<std::vector<Values>>;

std::vector<bool> used(const Step& step) {
  std::vector<bool> result;
  for (const auto& packs : step) result.push_back(!packs.empty());
  return result;
}

// The definition: leaves [first, first + count), count a power of two, as a full binary tree.
// Nothing plus x is x.
std::optional<Values> full_tree(const Step& step, size_t first, size_t count) {
  const auto add = [](std::optional<Values> sum, const std::optional<Values>& other) {
    if (!sum) return other;
    if (!other) return sum;
    for (size_t i = 0; i < sum->size(); ++i) (*sum)[i] += (*other)[i];
    return sum;
  };
  if (count == 1) {
    std::optional<Values> leaf;
    if (!step[first].empty()) leaf = Values(step[first][0].size(), 0.0f);
    for (const Values& pack : step[first]) leaf = add(leaf, pack);
    return leaf;
  }
  return add(full_tree(step, first, count / 2), full_tree(step, first + count / 2, count / 2));
}

Values one_after_the_other(const Step& step, size_t size) {
  Values sum(size, 0.0f);
  for (const auto& packs : step)
    for (const Values& pack : packs)
      for (size_t i = 0; i < size; ++i) sum[i] += pack[i];
  return sum;
}

// Random gradients of very different sizes, so that another order of additions gives other bits.
Values random_gradient(std::mt19937& random, size_t size) {
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> exponent(-12, 12);
  Values values(size);
  for (float& value : values) value = std::ldexp(normal(random), exponent(random));
  return values;
}

Step random_step(std::mt19937& random, size_t size, const std::vector<bool>& leaf_used) {
  Step step(leaf_used.size());
  for (size_t leaf = 0; leaf < step.size(); ++leaf)
    for (uint32_t packs = leaf_used[leaf] ? 1 + random() % 3 : 0; packs > 0; --packs)
      step[leaf].push_back(random_gradient(random, size));
  return step;
}

// Writes the sum of packs of `leaves`, added up as tree_merges says.
void write_sum(Tensor buffer, const std::vector<int>& leaves, const std::vector<const Values*>& packs) {
  const std::vector<int> merges = tree_merges(leaves);
  std::vector<Values> open;
  for (size_t p = 0; p < packs.size(); ++p) {
    open.push_back(*packs[p]);
    for (int merge = 0; merge < merges[p]; ++merge) {
      const Values top = open.back();
      open.pop_back();
      for (size_t i = 0; i < top.size(); ++i) open.back()[i] += top[i];
    }
  }
  ASSERT_EQ(open.size(), 1u);
  std::ranges::copy(open[0], buffer.f32());
}

// Gives the packs of the subtree in one buffer, or its halves (a leaf's packs) apart, as `together` says.
void add_node(GradientSum& sum, const Step& step, TreeNode node, const std::function<bool()>& together, const Exec& ex) {
  std::vector<int> leaves;
  std::vector<const Values*> packs;
  for (int leaf = node.index << node.level; leaf < (node.index + 1) << node.level; ++leaf) {
    for (const Values& pack : step[leaf]) leaves.push_back(leaf), packs.push_back(&pack);
  }
  if (packs.empty()) return;
  if (packs.size() == 1 || together()) {
    write_sum(sum.begin(leaves, ex), leaves, packs);
    sum.end(ex);
  } else if (node.level == 0) {
    for (size_t p = 0; p < packs.size(); ++p) {
      write_sum(sum.begin(std::span(leaves).first(1), ex), {leaves[0]}, {packs[p]});
      sum.end(ex, p + 1 < packs.size());
    }
  } else {
    add_node(sum, step, {node.level - 1, 2 * node.index}, together, ex);
    add_node(sum, step, {node.level - 1, 2 * node.index + 1}, together, ex);
  }
}

std::span<const float> run_step(GradientSum& sum, const Step& step, const Exec& ex) {
  std::mt19937 random(static_cast<uint32_t>(step.size() * 31 + step[0].size()));
  for (TreeNode node : covering_nodes(sum.range()))
    add_node(sum, step, node, [&] { return random() % 3 == 0; }, ex);
  return sum.finish(used(step), ex);
}

// What all ranks' spans make together, for each step; one GradientSum a rank serves all steps.
std::vector<Values> sum_on_ranks(int ranks, const std::vector<Step>& steps, size_t size,
                                 int64_t exchange, int threads) {
  std::vector<Values> totals(steps.size(), Values(size, std::nanf("")));
  run_on_threads(ranks, [&](Comm& comm) {
    ExecOwner owner(threads);
    GradientSum sum(static_cast<int64_t>(size), static_cast<int>(steps[0].size()), comm, exchange);
    for (size_t i = 0; i < steps.size(); ++i) {
      const std::span<const float> mine = run_step(sum, steps[i], owner.exec());
      CHECK(
          static_cast<int64_t>(mine.size()) ==
              (comm.size() == 1 ? static_cast<int64_t>(size) : sum.owned_end() - sum.owned_begin()),
          "rank {} has {} sums", comm.rank(), mine.size());
      std::ranges::copy(mine, totals[i].begin() + sum.owned_begin());
    }
  });
  return totals;
}

bool same_bits(const Values& a, const Values& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::vector<std::vector<bool>> patterns_of_use(std::mt19937& random, size_t leaves) {
  std::vector<std::vector<bool>> patterns{std::vector<bool>(leaves, true)};
  for (size_t leaf = 0; leaf < leaves; ++leaf) {
    std::vector<bool> only(leaves, false), without(leaves, true);
    only[leaf] = true;
    without[leaf] = leaves == 1;
    patterns.push_back(only);
    patterns.push_back(without);
  }
  for (int i = 0; i < 40; ++i) {
    std::vector<bool> some(leaves);
    for (size_t leaf = 0; leaf < leaves; ++leaf) some[leaf] = random() % 2 == 0;
    some[random() % leaves] = true;
    patterns.push_back(some);
  }
  return patterns;
}

TEST(GradientSum, EveryWorldGivesTheBitsOfTheFullTree) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr size_t kSize = 8 * 13;
  std::vector<Step> steps;
  for (const std::vector<bool>& pattern : patterns_of_use(random, 8))
    steps.push_back(random_step(random, kSize, pattern));
  int another_order = 0;
  std::vector<Values> expected;
  for (const Step& step : steps) {
    expected.push_back(*full_tree(step, 0, 8));
    another_order += !same_bits(expected.back(), one_after_the_other(step, kSize));
  }
  EXPECT_GT(another_order, 40) << "these gradients cannot tell one order from another";
  for (int ranks = 1; ranks <= 8; ++ranks) {
    const std::vector<Values> totals = sum_on_ranks(ranks, steps, kSize, 1 << 22, 1);
    for (size_t i = 0; i < steps.size(); ++i) {
      EXPECT_TRUE(same_bits(totals[i], expected[i]))
          << ranks << " ranks, used leaves " << testing::PrintToString(used(steps[i]));
    }
  }
}

TEST(GradientSum, OtherTreesToo) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (size_t leaves : {1, 2, 4, 16}) {
    const size_t size = leaves * 3;
    std::vector<Step> steps;
    for (const std::vector<bool>& pattern : patterns_of_use(random, leaves))
      steps.push_back(random_step(random, size, pattern));
    for (int ranks = 1; ranks <= std::min<int>(static_cast<int>(leaves), 7); ++ranks) {
      const std::vector<Values> totals = sum_on_ranks(ranks, steps, size, 5, 1);
      for (size_t i = 0; i < steps.size(); ++i)
        EXPECT_TRUE(same_bits(totals[i], *full_tree(steps[i], 0, leaves)))
            << leaves << " leaves, " << ranks << " ranks";
    }
  }
}

TEST(GradientSum, ThePiecesOfTheExchangeDoNotMatter) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr size_t kSize = 8 * 25;  // spans of 25 to 100 elements
  const std::vector<Step> steps{
      random_step(random, kSize, std::vector<bool>(8, true)),
      random_step(random, kSize, {true, false, false, true, true, false, true, false})};
  for (int64_t exchange : {1, 7, 24, 25, 26, 64, 1000}) {
    for (int ranks : {2, 3, 5, 8}) {
      const std::vector<Values> totals = sum_on_ranks(ranks, steps, kSize, exchange, 1);
      for (size_t i = 0; i < steps.size(); ++i)
        EXPECT_TRUE(same_bits(totals[i], *full_tree(steps[i], 0, 8)))
            << "exchange " << exchange << ", " << ranks << " ranks";
    }
  }
}

TEST(GradientSum, ThreadsDoNotMatter) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr size_t kSize = 8 * 70'001;  // more than one task for each thread
  const std::vector<Step> steps{
      random_step(random, kSize, {true, true, true, false, true, true, true, true})};
  const Values expected = *full_tree(steps[0], 0, 8);
  for (int ranks : {1, 3})
    for (int threads : {1, 3})
      EXPECT_TRUE(same_bits(sum_on_ranks(ranks, steps, kSize, 100'000, threads)[0], expected));
}

TEST(GradientSum, WholeNumbersAddUpExactly) {
  Step step(8);
  Values expected(64, 0.0f);
  for (int leaf = 0; leaf < 8; ++leaf) {
    for (int pack = 0; pack <= leaf % 3; ++pack) {
      Values& values = step[leaf].emplace_back(64);
      for (int i = 0; i < 64; ++i)
        expected[i] += values[i] = static_cast<float>((leaf * 131 + pack * 17 + i * 7) % 201 - 100);
    }
  }
  for (int ranks = 1; ranks <= 8; ++ranks)
    EXPECT_EQ(sum_on_ranks(ranks, {step}, 64, 1 << 22, 1)[0], expected);
}

TEST(GradientSum, NonFiniteNumbersComeThrough) {
  const float infinity = std::numeric_limits<float>::infinity();
  Step step(8);
  step[5] = {Values(8, infinity)};
  for (int ranks : {1, 2, 8}) {
    step[6].clear();
    EXPECT_EQ(sum_on_ranks(ranks, {step}, 8, 1 << 22, 1)[0], Values(8, infinity));
    step[6] = {Values(8, -infinity)};
    EXPECT_TRUE(std::isnan(sum_on_ranks(ranks, {step}, 8, 1 << 22, 1)[0][3]));
  }
}

TEST(GradientSum, WhatIsNeverWrittenIsZero) {
  const auto comm = make_self_comm();
  ExecOwner owner(1);
  GradientSum sum(16, 4, *comm);
  for (int step = 0; step < 2; ++step) {
    for (int leaf = 0; leaf < 4; ++leaf) {
      const Tensor buffer = sum.begin({{leaf}}, owner.exec());
      ASSERT_EQ(buffer.size(), 16);
      for (int i = 0; i < 15; ++i) buffer.f32()[i] = 1;
      EXPECT_EQ(std::bit_cast<uint32_t>(buffer.f32()[15]), 0u);
      sum.end(owner.exec());
    }
    const std::span<const float> total = sum.finish(std::vector<bool>(4, true), owner.exec());
    EXPECT_EQ(total[7], 4.0f);
    EXPECT_EQ(std::bit_cast<uint32_t>(total[15]), 0u);
  }
}

TEST(GradientSum, HoldsOneBufferForEachLevelOfTheTree) {
  const auto comm = make_self_comm();
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  GradientSum sum(64, 64, *comm);
  for (int leaf = 0; leaf < 64; ++leaf) {
    sum.begin({{leaf}}, ex);
    sum.end(ex);
    EXPECT_LE(sum.bytes(), 7 * 64 * sizeof(float)) << "after leaf " << leaf;
  }
  sum.finish(std::vector<bool>(64, true), ex);
  for (int leaf = 0; leaf < 64; ++leaf) {  // and one more where a leaf's packs come apart
    for (const bool goes_on : {true, true, false}) {
      sum.begin({{leaf}}, ex);
      sum.end(ex, goes_on);
      EXPECT_LE(sum.bytes(), 8 * 64 * sizeof(float)) << "in leaf " << leaf;
    }
  }
}

TEST(TreeMerges, AnExample) {
  const std::vector<int> leaves = {0, 0, 0, 1, 3, 4, 7}, merges = {0, 1, 1, 1, 1, 0, 2}, none;
  EXPECT_EQ(tree_merges(leaves), merges);
  EXPECT_EQ(tree_merges(none), none);
}

TEST(NodeMerges, AnExample) {
  const std::vector<TreeNode> nodes = {{1, 0}, {0, 3}, {0, 4}, {1, 3}}, one = {{3, 0}}, gaps = {{0, 1}, {0, 6}, {0, 7}};
  EXPECT_EQ(node_merges(nodes), (std::vector<int>{0, 1, 0, 2}));
  EXPECT_EQ(node_merges(one), std::vector<int>{0});
  EXPECT_EQ(node_merges(gaps), (std::vector<int>{0, 0, 2}));
}

TEST(HeldNodes, AreThoseWithPacks) {
  const std::vector<bool> used = {false, true, false, false, true, false, false, true};
  EXPECT_EQ(held_nodes(used, 0, 1), (std::vector<TreeNode>{{3, 0}}));
  EXPECT_EQ(held_nodes(used, 0, 3), (std::vector<TreeNode>{{1, 0}}));           // leaves 0, 1
  EXPECT_EQ(held_nodes(used, 1, 3), (std::vector<TreeNode>{{0, 4}}));           // 2, 3 and 4
  EXPECT_EQ(held_nodes(used, 2, 3), (std::vector<TreeNode>{{1, 3}}));           // 5, and 6, 7
  EXPECT_TRUE(held_nodes(used, 1, 4).empty());
}

TEST(GradientSum, RefusesWhatItCannotShareOut) {
  const auto comm = make_self_comm();
  EXPECT_THROW(GradientSum(12, 8, *comm), Error);
  EXPECT_THROW(GradientSum(12, 6, *comm), Error);
  EXPECT_THROW(GradientSum(0, 0, *comm), Error);
  EXPECT_THROW(GradientSum(16, 8, *comm, 0), Error);
}

TEST(GradientSum, LeavesAreBegunOnceInOrderAndInItsRange) {
  ThreadWorld world(2);  // rank 1 is not there: nothing below gets as far as an exchange
  ThreadComm comm(world, 0);
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  GradientSum sum(16, 8, comm);
  EXPECT_THROW(sum.end(ex), Error);
  EXPECT_THROW(sum.begin({{-1}}, ex), Error);
  EXPECT_THROW(sum.begin({{4}}, ex), Error) << "leaf 4 is rank 1's";
  EXPECT_THROW(sum.begin({{3, 4}}, ex), Error);
  EXPECT_THROW(sum.begin({{2, 1}}, ex), Error) << "not ascending";
  EXPECT_THROW(sum.begin({}, ex), Error);
  sum.begin({{1}}, ex);
  EXPECT_THROW(sum.begin({{2}}, ex), Error) << "leaf 1 is open";
  EXPECT_THROW(sum.finish(std::vector<bool>(8, true), ex), Error) << "leaf 1 is open";
  sum.end(ex, /*leaf_goes_on=*/true);
  EXPECT_THROW(sum.finish(std::vector<bool>(8, true), ex), Error) << "leaf 1 goes on";
  EXPECT_THROW(sum.begin({{2}}, ex), Error) << "leaf 1 goes on";
  EXPECT_THROW(sum.begin({{1, 2}}, ex), Error) << "leaf 1 goes on, by itself";
  sum.begin({{1}}, ex);
  sum.end(ex);
  EXPECT_THROW(sum.begin({{1}}, ex), Error);
  EXPECT_THROW(sum.begin({{0}}, ex), Error);
  sum.begin({{2, 3}}, ex);
  EXPECT_THROW(sum.end(ex, true), Error) << "several leaves";
}

TEST(GradientSum, ItsLeavesMustBeThoseThatAreSaidToBeUsed) {
  ThreadWorld world(2);
  ThreadComm comm(world, 0);
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  GradientSum sum(16, 8, comm);
  sum.begin({{1}}, ex);
  sum.end(ex);
  EXPECT_THROW(sum.finish(std::vector<bool>(7, true), ex), Error);
  EXPECT_THROW(sum.finish({false, false, false, false, true, true, true, true}, ex), Error);

  const auto alone = make_self_comm();
  GradientSum whole(16, 8, *alone);
  EXPECT_THROW(whole.finish(std::vector<bool>(8, false), ex), Error) << "no leaf at all";
  whole.begin({{1}}, ex);
  whole.end(ex);
  EXPECT_THROW(whole.finish({true, true, false, false, false, false, false, false}, ex), Error)
      << "leaf 0 was not begun";
}

}  // namespace
}  // namespace cohort
