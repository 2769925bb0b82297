// Packs: every completion once, prompts shared, dealt out by global order.
#include "trainer/packs.h"

#include <gtest/gtest.h>

#include <set>

#include "core/rng.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

struct Batch {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::vector<std::vector<int32_t>>> completions;
  std::vector<PackInput> inputs() const {
    std::vector<PackInput> result;
    for (size_t g = 0; g < prompts.size(); ++g)
      result.push_back({prompts[g], {completions[g].begin(), completions[g].end()}});
    return result;
  }
};

Batch random_batch(uint32_t which) {
  Random random(123, Stream::kTest, which);
  Batch batch;
  const int64_t groups = random.between(1, 6), samples = random.between(1, 5);
  int32_t next = 0;  // every token its own number
  const auto make = [&](int64_t low, int64_t high) {
    std::vector<int32_t> tokens(static_cast<size_t>(random.between(low, high)));
    for (int32_t& token : tokens) token = next++;
    return tokens;
  };
  for (int64_t g = 0; g < groups; ++g) {
    batch.prompts.push_back(make(1, 9));
    batch.completions.emplace_back();
    for (int64_t s = 0; s < samples; ++s) batch.completions.back().push_back(make(0, 12));
  }
  return batch;
}

TEST(Packs, HoldEveryTokenOnceWithItsOwnPast) {
  for (uint32_t which = 0; which < 200; ++which) {
    const Batch batch = random_batch(which);
    const std::vector<PackInput> inputs = batch.inputs();
    for (const int64_t limit : {0, 1, 20, 64}) {
      for (const int64_t logical : {1, 4, 8}) {
        std::set<int32_t> seen;
        int last_rank = 0;
        for (const TrainPack& pack : build_packs(inputs, limit, logical)) {
          EXPECT_GE(pack.logical_rank, last_rank);
          EXPECT_LT(pack.logical_rank, logical);
          last_rank = pack.logical_rank;
          const TokenPack& t = pack.tokens;
          ASSERT_EQ(t.rows.size(), t.targets.size());
          ASSERT_EQ(t.rows.size(), pack.refs.size());
          for (size_t i = 0; i < t.rows.size(); ++i) {
            const TargetRef& ref = pack.refs[i];
            const auto& completion = batch.completions[ref.group][ref.sample];
            ASSERT_EQ(t.targets[i], completion[ref.position]);
            EXPECT_TRUE(seen.insert(t.targets[i]).second) << "a target twice";
            // The row that predicts it holds the token before it, at the position before it.
            const int32_t before = ref.position == 0 ? batch.prompts[ref.group].back() : completion[ref.position - 1];
            ASSERT_EQ(t.tokens[t.rows[i]], before);
            ASSERT_EQ(t.positions[t.rows[i]], static_cast<int32_t>(batch.prompts[ref.group].size()) + ref.position - 1);
          }
          // Runs cover the rows in order; a completion's prefix is a prompt of the same pack.
          int64_t row = 0;
          for (const PackRun& run : t.runs) {
            ASSERT_EQ(run.begin, row);
            row += run.count;
            ASSERT_LE(run.prefix_begin + run.prefix_count, run.begin);
          }
          ASSERT_EQ(row, static_cast<int64_t>(t.tokens.size()));
        }
        size_t expected = 0;
        for (const auto& group : batch.completions)
          for (const auto& completion : group) expected += completion.size();
        EXPECT_EQ(seen.size(), expected);
      }
    }
  }
}

TEST(Packs, ShareThePromptAndRespectTheLimit) {
  const std::vector<int32_t> prompt(10, 5), completion(6, 7);
  const std::vector<PackInput> inputs = {{prompt, {completion, completion, completion, completion}}};
  const auto one = build_packs(inputs, 100, 1);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].tokens.tokens.size(), 10u + 4 * 5);
  for (const TrainPack& pack : build_packs(inputs, 20, 1)) EXPECT_EQ(pack.tokens.tokens.size(), 20u);  // two of five each
  EXPECT_EQ(build_packs(inputs, 20, 1).size(), 2u);
  EXPECT_EQ(build_packs(inputs, 3, 1).size(), 4u);  // a completion that does not fit alone is still run
}

TEST(Packs, ALongGroupIsSplitIntoFewPacksByItself) {
  const std::vector<int32_t> prompt(512, 5), completion(2048, 7);
  const std::vector<PackInput> inputs = {{prompt, std::vector<std::span<const int32_t>>(8, completion)}};
  const auto packs = build_packs(inputs, 0, 8);
  ASSERT_EQ(packs.size(), 4u);  // two completions each, not one: 512 + 2 * 2047 rows
  for (const TrainPack& pack : packs) EXPECT_EQ(pack.tokens.tokens.size(), 512u + 2 * 2047);
}

// Of ranks that have sampled as many groups each, none gets another's because of where packs happen to be full. Sums depend on it: to
// deal otherwise raises kNumericsVersion.
TEST(Packs, GroupsAreDealtByTheirOwnRows) {
  const std::vector<int32_t> prompt(45, 5);
  std::vector<std::vector<int32_t>> completions;
  for (const int rows : {298, 258, 237, 162, 300, 239, 350, 286}) completions.emplace_back(static_cast<size_t>(rows + 1), 7);
  std::vector<PackInput> inputs;
  for (const auto& completion : completions) inputs.push_back({prompt, {completion}});
  std::vector<int> leaves(inputs.size(), -1);
  for (const TrainPack& pack : build_packs(inputs, 0, 4))
    for (const TargetRef& ref : pack.refs) leaves[static_cast<size_t>(ref.group)] = pack.logical_rank;
  EXPECT_EQ(leaves, (std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3}));
}

TEST(Packs, EmptyCompletionsAreLeftOut) {
  const std::vector<int32_t> prompt = {1, 2};
  const std::vector<PackInput> inputs = {{prompt, {std::span<const int32_t>(), std::span<const int32_t>()}}};
  EXPECT_TRUE(build_packs(inputs, 0, 8).empty());
  EXPECT_ERROR(build_packs(std::vector<PackInput>{{{}, {prompt}}}, 0, 8), kInternal, "empty prompt");
}

TEST(Packs, TargetsAreThoseThatAreNamed) {
  const std::vector<int32_t> prompt = {1, 2}, completion = {10, 11, 12, 13, 14};
  const PackInput input{.prompt = prompt, .completions = {completion}, .targets = {{{0, 1}, {2, 4}}}};
  const std::vector<TrainPack> packs = build_packs(std::span(&input, 1), 0, 1);
  ASSERT_EQ(packs.size(), 1u);
  EXPECT_EQ(packs[0].tokens.tokens, (std::vector<int32_t>{1, 2, 10, 11, 12, 13})) << "what is no target is run all the same";
  EXPECT_EQ(packs[0].tokens.targets, (std::vector<int32_t>{10, 12, 13}));
  EXPECT_EQ(packs[0].tokens.rows, (std::vector<int32_t>{1, 3, 4}));
  std::vector<int32_t> positions;
  for (const TargetRef& ref : packs[0].refs) positions.push_back(ref.position);
  EXPECT_EQ(positions, (std::vector<int32_t>{0, 2, 3}));
  for (const std::vector<TokenSpan>& wrong : {std::vector<TokenSpan>{{0, 6}}, {{2, 2}}, {{1, 3}, {2, 4}}, {{-1, 2}}}) {
    const PackInput bad{.prompt = prompt, .completions = {completion}, .targets = {wrong}};
    EXPECT_ERROR(build_packs(std::span(&bad, 1), 0, 1), kInternal, "targets ");
  }
}

}  // namespace
}  // namespace cohort
