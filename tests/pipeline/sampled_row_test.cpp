// Rows of what was sampled: the data's own columns beside what came of them.
#include "pipeline/sampled_row.h"

#include <gtest/gtest.h>

#include "core/check.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

EvalResult result_of(const std::string& completion) {
  EvalResult result;
  result.samples = 1;
  result.completions = {completion};
  result.rollouts.resize(1);
  result.rollouts[0].tokens = {5, 6};
  result.scores.resize(1);
  result.scores[0].total = 0.25;
  result.scores[0].scores = {0.25};
  return result;
}

const std::vector<RewardSpec>& rewards() {
  static const std::vector<RewardSpec> specs{{.name = "exact"}};
  return specs;
}

TEST(SampledRow, HoldsTheDataAndWhatCameOfThem) {
  Problem problem{.id = "a", .prompt = "p"};
  problem.columns = {{"answer", "2"}, {"messages", Json::array()}};
  const Json row = sampled_row(result_of("x"), problem, 0, rewards());
  EXPECT_FALSE(was_sampled(problem.columns));
  EXPECT_TRUE(was_sampled(row));
  EXPECT_EQ(row["answer"], "2");
  EXPECT_EQ(row["completion"], "x");
  EXPECT_EQ(row["reward"], 0.25);
  EXPECT_FALSE(row.contains("messages") || row.contains("set") || row.contains("opens_thinking"));
}

TEST(SampledRow, SampledAgainItHoldsNothingOfTheEarlierCompletion) {
  Problem problem{.id = "a", .prompt = "p"};
  EvalResult first = result_of("x");
  first.set = "old";
  problem.opens_thinking = true;
  problem.columns = sampled_row(first, problem, 0, rewards());
  for (const char* name : {"id", "prompt"}) problem.columns.erase(name);
  problem.columns["answer"] = "2";
  ASSERT_TRUE(problem.columns.contains("opens_thinking"));
  problem.opens_thinking = false;
  EvalResult second = result_of("y");
  const Json alone = sampled_row(second, problem, 0, rewards());
  EXPECT_EQ(alone["completion"], "y");
  EXPECT_EQ(alone["answer"], "2");
  EXPECT_EQ(alone["set"], "old") << "whose rows they are, where there is no other name";
  EXPECT_FALSE(alone.contains("opens_thinking"));
  second.set = "new";
  EXPECT_EQ(sampled_row(second, problem, 0, rewards())["set"], "new");
}

TEST(SampledRow, ColumnsThatWouldBeLostAreRefused) {
  const auto check = [](const Json& columns, bool named) {
    Problem problem{.id = "line 7", .prompt = "p"};
    problem.columns = columns;
    check_own_columns(std::span(&problem, 1), "x.jsonl", named);
  };
  for (const char* name : {"sample", "completion", "ids", "finish_reason", "reward", "rewards", "opens_thinking"}) {
    SCOPED_TRACE(name);
    EXPECT_ERROR(check({{name, 1}}, false), kInput, std::string("x.jsonl: problem \"line 7\" has a column '") + name + "', which a 'sample' stage adds itself");
  }
  EXPECT_ERROR(check({{"set", "a"}}, true), kInput, "has a column 'set'");
  EXPECT_NO_THROW(check({{"set", "a"}, {"answer", "2"}}, false)) << "without sources a row has no set of its own";
  const Json sampled = sampled_row(result_of("x"), {.id = "a", .prompt = "p"}, 0, rewards());
  EXPECT_NO_THROW(check(sampled, true));
}

TEST(SampledRow, OfSeveralSourcesTheFileIsNamed) {
  Dataset data{.name = "a.jsonl, b.jsonl"};
  data.problems = {{.id = "a/1", .prompt = "p"}, {.id = "b/1", .prompt = "p"}};
  data.problems[1].columns = {{"ids", 3}};
  data.parts = {{.name = "a", .file = "a.jsonl", .begin = 0, .end = 1}, {.name = "b", .file = "b.jsonl", .begin = 1, .end = 2}};
  EXPECT_ERROR(check_own_columns(data), kInput, "b.jsonl: problem \"b/1\" has a column 'ids'");
  data.problems[1].columns = Json::object();
  EXPECT_NO_THROW(check_own_columns(data));
}

}  // namespace
}  // namespace cohort
