// Best-of-n: which completions are selected, and that the update sees them alone.
#include "trainer/select_completions.h"

#include <bit>
#include <cmath>

#include "tests/core/expect_error.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/group_advantages.h"

namespace cohort {
namespace {

using Rewards = std::vector<std::optional<double>>;
using Selected = std::vector<bool>;

TEST(SelectCompletions, TheBestAreTheHighestAndOfEqualsTheEarlier) {
  EXPECT_EQ(select_best(Rewards{0, 1, 0.5, 1}, 1), (Selected{false, true, false, false}));
  EXPECT_EQ(select_best(Rewards{0, 1, 0.5, 1}, 3), (Selected{false, true, true, true}));
  EXPECT_EQ(select_best(Rewards{0, 0, 0}, 2), (Selected{true, true, false}));
  EXPECT_EQ(select_best(Rewards{std::nullopt, -1, std::nullopt}, 2), (Selected{false, true, false}));
  EXPECT_EQ(select_best(Rewards{std::nullopt}, 1), Selected{false});
  EXPECT_ERROR(select_best(Rewards{1}, 0), kInternal, "the best 0 completions");
}

TEST(SelectCompletions, MaxVarianceTakesBothEnds) {
  EXPECT_EQ(select_max_variance(Rewards{0.5, 1, 0, 0.4}, 2), (Selected{false, true, true, false}));
  EXPECT_EQ(select_max_variance(Rewards{0, 0, 0, 1}, 2), (Selected{true, false, false, true}));
  EXPECT_EQ(select_max_variance(Rewards{1, 1, 1, 0}, 2), (Selected{true, false, false, true}));
  EXPECT_EQ(select_max_variance(Rewards{1, 0, 1, 0, 1}, 3), (Selected{true, true, true, false, false})) << "two of the highest before two of the lowest";
  EXPECT_EQ(select_max_variance(Rewards{3, 3, 3}, 2), (Selected{true, true, false}));
  EXPECT_EQ(select_max_variance(Rewards{std::nullopt, 2, std::nullopt, 1}, 3), (Selected{false, true, false, true}));
  EXPECT_EQ(select_max_variance(Rewards{std::nullopt}, 1), Selected{false});
}

double variance(const Rewards& rewards, uint32_t subset) {
  double sum = 0, squares = 0, count = 0;
  for (size_t i = 0; i < rewards.size(); ++i)
    if (subset >> i & 1) sum += *rewards[i], count += 1;
  for (size_t i = 0; i < rewards.size(); ++i)
    if (subset >> i & 1) squares += (*rewards[i] - sum / count) * (*rewards[i] - sum / count);
  return squares / count;
}

TEST(SelectCompletions, NoOtherSetHasMoreVariance) {
  Random random(9, Stream::kTest);
  for (int round = 0; round < 200; ++round) {
    Rewards rewards;
    for (uint32_t i = 0; i < 3 + random.below(6); ++i) rewards.push_back(static_cast<double>(random.below(round % 2 == 0 ? 3 : 1000)) / 7);
    const int k = 1 + static_cast<int>(random.below(static_cast<uint32_t>(rewards.size())));
    const Selected selected = select_max_variance(rewards, k);
    uint32_t mine = 0;
    for (size_t i = 0; i < selected.size(); ++i) mine |= static_cast<uint32_t>(selected[i]) << i;
    ASSERT_EQ(std::popcount(mine), k);
    for (uint32_t subset = 1; subset < uint32_t{1} << rewards.size(); ++subset)
      ASSERT_TRUE(std::popcount(subset) != k || variance(rewards, subset) <= variance(rewards, mine) + 1e-12) << "round " << round;
  }
}

struct SelectionRun : TinyRun {
  explicit SelectionRun(AlgorithmSection algorithm) : TinyRun(DType::f32) {
    config.algorithm = std::move(algorithm);
    config.trainer.prompts_per_step = 3;
  }
  std::vector<Group> scored(const std::vector<std::vector<double>>& rewards) {
    std::vector<Group> groups = sample(1, rewards);
    for (size_t g = 0; g < groups.size(); ++g)
      for (const double reward : rewards[g]) groups[g].scores.push_back({.scores = {reward}, .total = reward, .ends = {}});
    return groups;
  }
};

const std::vector<std::vector<double>> kRewards = {{1, 0, 0.25, 0.5}, {0, 0, 0, 0}, {0, 0.5, 1, 0}};

// The same as groups that never had the others: advantages, normalisers and weights.
TEST(SelectCompletions, MaxVarianceIsAGroupOfTheSelectedAlone) {
  for (const char* loss_type : {"grpo", "dapo", "gspo"})
    for (const char* advantage : {"group", "rloo", "reinforce_plus_plus"}) {
      SelectionRun run({.loss_type = loss_type, .advantage = advantage, .select_completions = "max_variance", .num_selected = 2});
      SelectionRun by_hand({.loss_type = loss_type, .advantage = advantage});
      std::vector<Group> groups = run.scored(kRewards), alone = by_hand.scored(kRewards);
      select_completions(groups, run.config.algorithm);
      EXPECT_EQ(groups[0].selected, (Selected{true, true, false, false}));
      EXPECT_EQ(groups[2].selected, (Selected{true, false, true, false}));
      for (size_t g = 0; g < 3; ++g)
        for (size_t i = 4; i-- > 0;)
          if (!groups[g].selected[i]) {
            alone[g].rollouts.erase(alone[g].rollouts.begin() + static_cast<std::ptrdiff_t>(i));
            alone[g].scores.erase(alone[g].scores.begin() + static_cast<std::ptrdiff_t>(i));
          }
      set_group_advantages(groups, run.config);
      set_group_advantages(alone, by_hand.config);
      const Metrics found = run.update(groups, 1), expected = by_hand.update(alone, 1);
      EXPECT_GT(found.get("grad_norm"), 0);
      EXPECT_EQ(run.weights(), by_hand.weights()) << loss_type << " " << advantage;
      EXPECT_EQ(found.get("loss"), expected.get("loss"));
    }
}

TEST(SelectCompletions, TheBestAreMeasuredAgainstAllOfTheirGroup) {
  SelectionRun run({.scale_rewards = "none", .select_completions = "best", .num_selected = 1}), all({.scale_rewards = "none"});
  std::vector<Group> groups = run.scored(kRewards), whole = all.scored(kRewards);
  select_completions(groups, run.config.algorithm);
  set_group_advantages(groups, run.config);
  set_group_advantages(whole, all.config);
  for (size_t g = 0; g < 3; ++g) EXPECT_EQ(groups[g].advantages, whole[g].advantages);
  EXPECT_TRUE(groups[0].has_signal && !groups[1].has_signal && groups[2].has_signal);
  // The update of the best: as if the others' advantages were 0, but for what the loss divides by.
  for (size_t g = 0; g < 3; ++g)
    for (size_t i = 0; i < 4; ++i)
      if (!groups[g].selected[i]) whole[g].advantages[i] = 0;
  run.config.algorithm.loss_agg_mode = all.config.algorithm.loss_agg_mode = "seq-mean-token-sum";
  const double best = run.update(groups, 1).get("grad_norm"), zeros = all.update(whole, 1).get("grad_norm");
  EXPECT_NEAR(best, 4 * zeros, 1e-5 * best) << "a quarter of the completions";
}

// RAFT++: right or wrong, with the reward itself as the advantage: only right completions teach, with weight 1.
TEST(SelectCompletions, RaftIsTheBestWithoutABaseline) {
  SelectionRun run({.advantage = "none", .select_completions = "best", .num_selected = 1});
  std::vector<Group> groups = run.scored({{0, 1, 1, 0}, {0, 0, 0, 0}, {0, 0, 0, 1}});
  select_completions(groups, run.config.algorithm);
  set_group_advantages(groups, run.config);
  EXPECT_EQ(groups[0].selected, (Selected{false, true, false, false}));
  EXPECT_EQ(groups[0].advantages[1], 1);
  EXPECT_FALSE(groups[1].has_signal);
  EXPECT_EQ(groups[2].selected, (Selected{false, false, false, true}));
}

TEST(SelectCompletions, WithAllNothingIsMarked) {
  std::vector<Group> groups(1);
  groups[0].scores.push_back({.scores = {1.0}, .total = 1.0, .ends = {}});
  select_completions(groups, {});
  EXPECT_TRUE(groups[0].selected.empty());
  EXPECT_TRUE(is_selected(groups[0], 0));
}

// A signal of a completion that is not selected is none.
TEST(SelectCompletions, UnselectedCompletionsAreNoSignal) {
  Config config;
  config.algorithm = {.advantage = "none", .select_completions = "best", .num_selected = 1, .mask_truncated_completions = true};
  std::vector<Group> groups(1);
  for (const double reward : {1.0, 0.5}) {
    groups[0].rollouts.push_back({.tokens = {3}, .logprobs = {-1}, .finish_reason = reward == 1 ? FinishReason::length : FinishReason::stop});
    groups[0].scores.push_back({.scores = {reward}, .total = reward, .ends = {}});
  }
  select_completions(groups, config.algorithm);
  set_group_advantages(groups, config);
  EXPECT_FALSE(groups[0].has_signal) << "the best is cut short, and masked";
}

}  // namespace
}  // namespace cohort
