// An evaluation counts what its completions say, and is the same for any ranks, threads and other sets.
#include "trainer/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "tests/core/expect_error.h"
#include "tests/rollout/tiny_text.h"
#include "tests/trainer/thread_comm.h"

namespace cohort {
namespace {

// Right when the text has an 'e'; its answer is the first letter. Rows with "odd" cannot be judged.
class HasE : public Reward {
 public:
  std::optional<double> score(const RewardInput& input) const override {
    if (input.columns->contains("odd")) return std::nullopt;
    return input.completion.find('e') != std::string_view::npos ? 1.0 : input.completion.find('a') != std::string_view::npos ? 0.5 : 0.0;
  }
  bool takes_answers() const override { return true; }
  std::optional<std::string> answer(std::string_view completion) const override {
    return completion.empty() ? std::nullopt : std::optional(std::string(completion.substr(0, 1)));
  }
};

struct Fixture {
  Fixture() : tokenizer(tiny_tokenizer()) {
    for (int i = 0; i < 9; ++i) {
      Problem& problem = data.problems.emplace_back();
      problem.id = fmt::format("p{}", i);
      problem.tokens.assign(static_cast<size_t>(2 + i % 3), 20 + i);
    }
    data.name = "test";
  }
  RewardSet rewards() const {
    std::vector<std::unique_ptr<Reward>> made;
    made.push_back(std::make_unique<HasE>());
    return RewardSet({{"has_e", 2.0, Json::object()}}, std::move(made));
  }
  EvalResult run(const EvalSetting& setting, Comm& comm, int threads = 1, const std::optional<DataPart>& part = {}, float temperature = 1) const {
    ExecOwner owner(threads);
    const auto policy = tiny_policy(DType::f32, 9, owner.exec());
    GeneratorConfig c;
    c.sampling.temperature = temperature;
    c.max_completion_length = 6;
    c.stop_token_ids = {1, 2};
    Generator generator(*policy, c, 8);
    return evaluate(data, part.value_or(eval_parts(data).front()), setting, generator, tokenizer, rewards(), 3, comm, owner.exec());
  }
  EvalResult run(const EvalSetting& setting) const {
    const auto self = make_self_comm();
    return run(setting, *self);
  }
  Dataset data;
  Tokenizer tokenizer;
};

const EvalSetting kSampled{.samples = 8, .pass_at_k = {1, 3, 8}, .pass_threshold = 0.5};

std::string all_of(const EvalResult& result, const Dataset& data) {
  std::string text;
  for (const EvalMetric& metric : eval_metrics(result)) text += fmt::format("{} {}\n", metric.name, metric.value);
  const DataPart part = eval_parts(data).front();
  for (size_t i = 0; i < result.completions.size(); ++i) text += dump_json(eval_completion(result, data, part, i, {{"has_e", 2.0, Json::object()}})) + "\n";
  return text;
}

TEST(Evaluate, CountsWhatTheCompletionsSay) {
  const Fixture fixture;
  const EvalResult result = fixture.run(kSampled);
  ASSERT_EQ(result.completions.size(), 72u);
  double accuracy = 0, majority_score = 0;
  std::map<int64_t, double> pass;
  for (size_t p = 0; p < 9; ++p) {
    double score = 0;
    int64_t correct = 0;
    std::map<char, std::vector<size_t>> votes;
    for (size_t i = 8 * p; i < 8 * p + 8; ++i) {
      score += *result.scores[i].scores[0] / 8;
      correct += *result.scores[i].scores[0] >= 0.5;
      if (!result.completions[i].empty()) votes[result.completions[i][0]].push_back(i);
    }
    accuracy += score / 9;
    for (const int64_t k : kSampled.pass_at_k) pass[k] += pass_at_k(8, correct, k) / 9;
    const std::vector<size_t>* winner = nullptr;
    for (const auto& [letter, voters] : votes)
      if (winner == nullptr || voters.size() > winner->size() || (voters.size() == winner->size() && voters[0] < (*winner)[0])) winner = &voters;
    if (winner != nullptr) majority_score += *result.scores[(*winner)[0]].scores[0] / 9;
  }
  EXPECT_NEAR(result.accuracy, accuracy, 1e-12);
  EXPECT_GT(accuracy, 0);
  EXPECT_LT(accuracy, 1);
  ASSERT_EQ(result.pass_at_k.size(), 3u);
  for (const PassAtK& found : result.pass_at_k) EXPECT_NEAR(found.value, pass[found.k], 1e-12) << found.k;
  EXPECT_LT(result.pass_at_k[0].value, result.pass_at_k[2].value);
  ASSERT_TRUE(result.majority);
  EXPECT_NEAR(result.majority->value, majority_score, 1e-12);
  EXPECT_STREQ(result.ci_method, "bootstrap");
  for (const auto& [value, ci] : {std::pair(result.accuracy, result.accuracy_ci), {result.majority->value, result.majority->ci},
                                  {result.pass_at_k[1].value, result.pass_at_k[1].ci}})
    EXPECT_TRUE(ci.low <= value && value <= ci.high && ci.low < ci.high);
  EXPECT_NEAR(result.reward, 2 * accuracy, 1e-12);
}

TEST(Evaluate, TheSameForAnyRanksAndThreads) {
  const Fixture fixture;
  const std::string expected = all_of(fixture.run(kSampled), fixture.data);
  const auto self = make_self_comm();
  EXPECT_EQ(all_of(fixture.run(kSampled, *self, 3), fixture.data), expected);
  for (const int ranks : {2, 4}) {
    std::vector<std::string> found(static_cast<size_t>(ranks));
    run_on_threads(ranks, [&](Comm& comm) { found[static_cast<size_t>(comm.rank())] = all_of(fixture.run(kSampled, comm), fixture.data); });
    for (const std::string& of_rank : found) EXPECT_EQ(of_rank, expected) << ranks;
  }
}

TEST(Evaluate, OneCompletionThatIsRightOrWrongHasWilsonsInterval) {
  Fixture fixture;
  EvalResult result = fixture.run({.pass_at_k = {1}});
  EXPECT_EQ(result.judged, 9);
  EXPECT_TRUE(result.pass_at_k.empty() && !result.majority);
  int64_t halves = 0;
  for (const RewardSet::Row& row : result.scores) halves += *row.scores[0] == 0.5;
  EXPECT_STREQ(result.ci_method, halves > 0 ? "bootstrap" : "wilson");
  // Greedy: of what is right or wrong alone.
  const auto self = make_self_comm();
  fixture.data.problems.resize(1);
  result = fixture.run({.pass_at_k = {1}}, *self, 1, std::nullopt, 0);
  if (result.accuracy == 0 || result.accuracy == 1) {
    EXPECT_STREQ(result.ci_method, "wilson");
    EXPECT_EQ(result.accuracy_ci, wilson_interval(static_cast<int64_t>(result.accuracy), 1));
  }
}

// A set's result is its own: which other sets there are, and in what order, does not matter.
TEST(Evaluate, SetsDoNotDependOnEachOther) {
  Fixture both, alone;
  both.data.parts = {{.name = "a", .file = "a.jsonl", .begin = 0, .end = 4}, {.name = "b", .file = "b.jsonl", .begin = 4, .end = 9}};
  alone.data.problems.erase(alone.data.problems.begin(), alone.data.problems.begin() + 4);
  const auto self = make_self_comm();
  const EvalResult a = both.run(kSampled, *self, 1, both.data.parts[0]), b = both.run(kSampled, *self, 1, both.data.parts[1]), expected = alone.run(kSampled);
  EXPECT_EQ(b.set, "b");
  EXPECT_EQ(b.data, "b.jsonl");
  EXPECT_EQ(b.completions, expected.completions);
  EXPECT_EQ(b.accuracy, expected.accuracy);
  EXPECT_EQ(b.majority->value, expected.majority->value);
  EXPECT_EQ(eval_completion(b, both.data, both.data.parts[1], 9, {{"has_e", 2.0, Json::object()}})["id"], "p5");
  EXPECT_EQ(eval_completion(b, both.data, both.data.parts[1], 9, {{"has_e", 2.0, Json::object()}})["sample"], 1);
  const std::vector<EvalMetric> metrics = eval_metrics({a, b});
  EXPECT_EQ(metrics.front().name, "eval/a/accuracy");
  EXPECT_EQ(metrics.back().name, "eval/accuracy");
  EXPECT_EQ(metrics.back().value, (a.accuracy + b.accuracy) / 2);
}

TEST(Evaluate, RowsThatCannotBeJudgedAreLeftOut) {
  Fixture fixture;
  const double all = fixture.run(kSampled).accuracy;
  fixture.data.problems[0].columns = {{"odd", true}};
  const EvalResult result = fixture.run(kSampled);
  EXPECT_EQ(result.judged, 64);
  EXPECT_NE(result.accuracy, all);
  double accuracy = 0;
  for (size_t i = 8; i < 72; ++i) accuracy += *result.scores[i].scores[0] / 64;
  EXPECT_NEAR(result.accuracy, accuracy, 1e-12);
  for (Problem& problem : fixture.data.problems) problem.columns = {{"odd", true}};
  EXPECT_ERROR(fixture.run(kSampled), kInput, "test: the reward could judge none of the 9 problems");
  fixture.data.parts = {{.name = "s", .file = "s.jsonl", .begin = 0, .end = 9}};
  EXPECT_ERROR(fixture.run(kSampled), kInput, "s.jsonl, set 's': the reward could judge none");
}

TEST(Evaluate, ASetThatNothingCouldBeJudgedOfHasNoMetrics) {
  EvalResult judged{.set = "a", .accuracy = 0.5, .problems = 2, .judged = 2}, none{.set = "b", .problems = 2};
  const std::vector<EvalMetric> metrics = eval_metrics({none, judged});
  EXPECT_EQ(metrics.front().name, "eval/a/accuracy");
  EXPECT_EQ(metrics.back().value, 0.5);
  EXPECT_TRUE(eval_metrics(std::vector<EvalResult>{none}).empty());
}

}  // namespace
}  // namespace cohort
