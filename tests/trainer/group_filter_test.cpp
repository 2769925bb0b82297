// Dynamic sampling: which groups a step gets, and that what is left goes through a checkpoint bit for bit.
#include "trainer/group_filter.h"

#include <fstream>

#include "core/files.h"
#include "tests/core/expect_error.h"
#include "tests/trainer/model_folder.h"

namespace cohort {
namespace {

Group group_of(int64_t problem, const std::vector<std::optional<double>>& totals) {
  Group group{.problem = problem};
  for (size_t i = 0; i < totals.size(); ++i) {
    group.rollouts.push_back({.tokens = {104, 105, static_cast<int32_t>(100 + i)}, .logprobs = {-0.1f, -1e-7f, -3.3333333f}, .kept_mass = 0.9f,
                              .finish_reason = FinishReason::stop, .policy_version = 7, .slots = {1, 2, 3}});
    group.scores.push_back({.scores = {totals[i], 1.0}, .total = totals[i], .ends = {{std::nullopt, 2}, {Missing::timeout, -1}}});
    group.texts.push_back("hi" + std::string(1, static_cast<char>(100 + i)));
  }
  return group;
}

std::vector<int64_t> problems_of(const std::vector<Group>& groups) {
  std::vector<int64_t> problems;
  for (const Group& group : groups) problems.push_back(group.problem);
  return problems;
}

const std::vector<RewardSpec> kRewards = {{"last_number", 1.0, Json::object()}, {"format", 1.0, Json::object()}};

TEST(GroupFilter, MixedAreGroupsWhoseRewardsDiffer) {
  EXPECT_TRUE(is_mixed(group_of(0, {0, 1}), -1));
  EXPECT_TRUE(is_mixed(group_of(0, {0.5, std::nullopt, 0.5, 0.25}), -1));
  EXPECT_FALSE(is_mixed(group_of(0, {0.3, 0.3, 0.3}), -1));
  EXPECT_FALSE(is_mixed(group_of(0, {std::nullopt, 1, std::nullopt}), -1));
  EXPECT_FALSE(is_mixed(group_of(0, {std::nullopt, std::nullopt}), -1));
  EXPECT_TRUE(is_mixed(group_of(0, {0, 1}), 0));
  EXPECT_FALSE(is_mixed(group_of(0, {0, 1}), 1));  // the second reward's scores are equal
}

TEST(GroupFilter, AStepGetsMixedGroupsFirstAndCarriesTheRest) {
  GroupFilter filter("reward", kRewards);
  std::vector<Group> drawn;
  for (int64_t p = 0; p < 6; ++p) drawn.push_back(p == 1 ? group_of(p, {1, 1}) : group_of(p, {0, 1}));
  filter.add(std::move(drawn));
  EXPECT_EQ(filter.mixed(), 5);
  std::vector<Group> step = filter.take(3);
  EXPECT_EQ(problems_of(step), (std::vector<int64_t>{0, 2, 3}));
  EXPECT_EQ(step[0].rollouts[0].policy_version, 7);
  EXPECT_FALSE(step[0].rollouts[0].slots.empty());  // of the last draw
  EXPECT_EQ(filter.mixed(), 2);

  std::vector<Group> equal;
  for (int64_t p = 10; p < 13; ++p) equal.push_back(group_of(p, {0, 0}));
  filter.add(std::move(equal));
  step = filter.take(4);  // those carried over first, filled up
  EXPECT_EQ(problems_of(step), (std::vector<int64_t>{4, 5, 10, 11}));
  EXPECT_EQ(step[0].rollouts[1].policy_version, -1);
  EXPECT_TRUE(step[0].rollouts[1].slots.empty());
  EXPECT_EQ(filter.mixed(), 0);
  EXPECT_ERROR(filter.take(1), kInternal, "1 groups of 0 and 0");  // unmixed ones are of their step alone
  EXPECT_ERROR(GroupFilter("length", kRewards), kInternal, "reward 'length', which is not there");
}

class GroupFilterFile : public ModelSetup {};

TEST_F(GroupFilterFile, WhatIsCarriedGoesThroughACheckpoint) {
  const LoadedModel model = init_model(make_model("m", StoredDType::f32), "float32", 1, 1, owner.exec());
  const Tokenizer& tokenizer = model.tokenizer;
  Dataset data;
  for (int p = 0; p < 3; ++p) data.problems.push_back({.id = std::to_string(p), .tokens = {p, p + 1}});
  GroupFilter filter("last_number", kRewards), other("last_number", kRewards);
  std::vector<Group> drawn;
  for (int64_t p = 0; p < 3; ++p) {
    Group& group = drawn.emplace_back(group_of(p, {0, std::nullopt, 0.1}));
    for (size_t i = 0; i < group.texts.size(); ++i) {
      group.texts[i] = tokenizer.decode(group.rollouts[i].tokens, true);
      group.reasons.push_back({"the last number is \"1\"", fmt::format("reason {}", i)});
    }
  }
  filter.add(std::move(drawn));
  filter.draws = 41;
  filter.take(1);
  const Json record = filter.save(folder);
  other.load(folder, record, data, tokenizer);
  EXPECT_EQ(other.draws, 41);
  const std::vector<Group> a = filter.take(2), b = other.take(2);
  ASSERT_EQ(problems_of(b), problems_of(a));
  for (size_t g = 0; g < a.size(); ++g) {
    EXPECT_TRUE(std::ranges::equal(b[g].prompt, data.problems[g + 1].tokens));
    EXPECT_EQ(b[g].texts, a[g].texts);
    EXPECT_EQ(b[g].reasons, a[g].reasons);
    for (size_t i = 0; i < a[g].rollouts.size(); ++i) {
      EXPECT_EQ(b[g].rollouts[i].tokens, a[g].rollouts[i].tokens);
      EXPECT_EQ(b[g].rollouts[i].logprobs, a[g].rollouts[i].logprobs);
      EXPECT_EQ(b[g].rollouts[i].kept_mass, a[g].rollouts[i].kept_mass);
      EXPECT_EQ(b[g].rollouts[i].finish_reason, a[g].rollouts[i].finish_reason);
      EXPECT_EQ(b[g].rollouts[i].policy_version, a[g].rollouts[i].policy_version);
      EXPECT_EQ(b[g].scores[i].scores, a[g].scores[i].scores);
      EXPECT_EQ(b[g].scores[i].total, a[g].scores[i].total);
      EXPECT_EQ(b[g].scores[i].ends[1].missing, a[g].scores[i].ends[1].missing);
      EXPECT_EQ(b[g].scores[i].ends[0].outcome, 2);
    }
  }
  const fs::path file = folder / "groups.json";
  EXPECT_ERROR(other.load(folder, Json(), data, tokenizer), kInput, "groups.json: the content does not match the hash");
  std::ofstream(file) << "[]";
  EXPECT_ERROR(other.load(folder, record, data, tokenizer), kInput, "the file is corrupted; resume from another checkpoint");
  fs::remove(file);
  EXPECT_ERROR(other.load(folder, record, data, tokenizer), kInput, file.string());
}

}  // namespace
}  // namespace cohort
