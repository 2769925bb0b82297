// Which packs run as one: fewer passes through memory, the same additions.
#include "trainer/pack_runner.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/trainer/tiny_run.h"

namespace cohort {
namespace {

// Packs of random sizes for some of the logical ranks, several for some.
std::vector<TrainPack> random_packs(std::mt19937& random, int logical_ranks) {
  std::vector<TrainPack> packs;
  for (int leaf = 0; leaf < logical_ranks; ++leaf) {
    for (uint32_t count = random() % 3 == 0 ? random() % 4 : 1; count > 0; --count) {
      packs.emplace_back();
      packs.back().logical_rank = leaf;
      packs.back().tokens.tokens.resize(1 + random() % 50);
      packs.back().tokens.targets.resize(random() % 80);  // completions of one token have a target and no row
    }
  }
  return packs;
}

TEST(PlanPasses, HoldEachPackOnceInOrderAndNoMoreRowsOrTargetsThanAllowed) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    const std::vector<TrainPack> packs = random_packs(random, 16);
    const LogicalRange range = logical_range(16, static_cast<int>(random() % 3), 3);
    const int64_t most = 1 + static_cast<int64_t>(random() % 300);
    size_t next = 0;
    while (next < packs.size() && packs[next].logical_rank < range.first) ++next;
    for (const PackPass& pass : plan_passes(packs, range, most)) {
      EXPECT_EQ(pass.first, next);
      ASSERT_GT(pass.last, pass.first);
      int64_t rows = 0, targets = 0;
      for (size_t p = pass.first; p < pass.last; ++p) {
        rows += static_cast<int64_t>(packs[p].tokens.tokens.size());
        targets += static_cast<int64_t>(packs[p].tokens.targets.size());
      }
      EXPECT_TRUE(std::max(rows, targets) <= most || pass.last - pass.first == 1)
          << rows << " rows, " << targets << " targets, at most " << most;
      next = pass.last;
      const bool same_leaf = next < packs.size() && packs[next].logical_rank == packs[next - 1].logical_rank;
      EXPECT_EQ(pass.leaf_goes_on, same_leaf);
    }
    EXPECT_TRUE(next == packs.size() || packs[next].logical_rank >= range.last);
  }
}

TEST(PlanPasses, LeaveTheTreeOfAdditionsWhatItIs) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  const auto comm = make_self_comm();
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  for (int round = 0; round < 50; ++round) {
    std::vector<TrainPack> packs = random_packs(random, 16);
    if (packs.empty()) continue;
    std::vector<bool> used(16);
    std::vector<float> values;
    for (const TrainPack& pack : packs) {
      used[static_cast<size_t>(pack.logical_rank)] = true;
      values.push_back(std::ldexp(normal(random), static_cast<int>(random() % 20)));
    }
    float expected = 0;
    for (const int64_t most : {1, 40, 100, 300, 100000}) {
      GradientSum sum(16, 16, *comm);
      for (const PackPass& pass : plan_passes(packs, sum.range(), most)) {
        std::vector<int> leaves;
        for (size_t p = pass.first; p < pass.last; ++p) leaves.push_back(packs[p].logical_rank);
        const std::vector<int> merges = tree_merges(leaves);
        std::vector<float> open;
        for (size_t p = pass.first; p < pass.last; ++p) {
          open.push_back(values[p]);
          for (int merge = 0; merge < merges[p - pass.first]; ++merge) {
            const float top = open.back();
            open.pop_back();
            open.back() += top;
          }
        }
        ASSERT_EQ(open.size(), 1u);
        sum.begin(leaves, ex).f32()[0] = open[0];
        sum.end(ex, pass.leaf_goes_on);
      }
      const float total = sum.finish(used, ex)[0];
      if (most == 1) expected = total;
      EXPECT_EQ(total, expected) << "passes of " << most << " rows";
    }
  }
}

TEST(PackRunner, CheckpointingAndSplitLogicalRanksChangeNoBitOfTheWeights) {
  const std::vector<std::vector<double>> mixed = {{1, 0, 0, 1}, {0, 1, 0, 0}, {0, 0.5, 1, 0}};
  std::vector<std::byte> first;
  for (const bool checkpointing : {false, true}) {
    TinyRun run(DType::bf16, 2);
    run.config.trainer.gradient_checkpointing = checkpointing;
    run.config.trainer.pack_tokens = 20;  // several packs a logical rank
    run.config.trainer.logical_ranks = 2;
    for (uint32_t step = 1; step <= 2; ++step) run.update(run.sample(step, mixed), step);
    if (!checkpointing) first = run.weights();
    EXPECT_EQ(run.weights(), first);
  }
}

// Rows that are run forward may grow faster than all rows do.
TEST(PackRunner, MoreRowsAStepChangeNoBitOfTheWeights) {
  std::vector<std::byte> first;
  for (const int64_t slots : {0, 70, 150}) {
    TinyRun run(DType::bf16, 2);
    if (slots > 0) run.tape.emplace(run.policy->config, DType::bf16, slots);
    for (const size_t samples : {2, 8, 16, 40}) {
      std::vector<double> rewards(samples);
      for (size_t i = 0; i < samples; i += 2) rewards[i] = 1;
      run.update(run.sample(static_cast<uint32_t>(samples), {rewards, rewards, rewards}), static_cast<int64_t>(samples));
    }
    if (slots == 0) first = run.weights();
    EXPECT_EQ(run.weights(), first) << slots << " slots";
  }
}

}  // namespace
}  // namespace cohort
