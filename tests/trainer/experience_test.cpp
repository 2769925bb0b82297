// Scored completions are the same for any number of ranks and whatever is known of their lengths.
#include "trainer/experience.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/core/expect_error.h"
#include "tests/rollout/tiny_text.h"
#include "tests/trainer/thread_comm.h"
#include "trainer/reward_metrics.h"

namespace cohort {
namespace {

ScoredRollout of_length(size_t tokens) {
  ScoredRollout scored;
  scored.rollout.tokens.resize(tokens);
  return scored;
}

TEST(ExpectedLengths, AreThoseOfTheProblemsLastStepElseOfAll) {
  std::vector<Problem> problems(3);
  const std::vector<const Problem*> both = {&problems[0], &problems[1]}, first = {&problems[0]};
  ExpectedLengths lengths;
  EXPECT_EQ(lengths.of(problems[0]), 0) << "unknown";
  std::vector<ScoredRollout> scored;
  for (const size_t tokens : {4, 6, 10, 21}) scored.push_back(of_length(tokens));
  lengths.learn(both, 2, scored);
  EXPECT_EQ(lengths.of(problems[0]), 5);
  EXPECT_EQ(lengths.of(problems[1]), 16) << "15.5";
  EXPECT_EQ(lengths.of(problems[2]), 11) << "10.25, of all";
  lengths.learn(first, 1, std::vector{of_length(2)});
  EXPECT_EQ(lengths.of(problems[0]), 2);
  EXPECT_EQ(lengths.of(problems[1]), 16);
  EXPECT_EQ(lengths.of(problems[2]), 2);
}

struct Maker {
  Maker() : rewards({{"last_number", 1.0, Json::object()}}), tokenizer(tiny_tokenizer()), problems(5) {
    for (size_t i = 0; i < problems.size(); ++i) {
      problems[i].tokens.assign(3 + i, static_cast<int32_t>(10 + i));
      problems[i].columns = {{"answer", "1"}};
    }
  }
  // Two steps of all problems; what is returned is the second step's.
  std::vector<ScoredRollout> make(Comm& comm, ExpectedLengths* lengths, double* occupancy = nullptr) {
    ExecOwner owner(1);
    const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
    GeneratorConfig c;
    c.max_completion_length = 20;
    c.stop_token_ids = {1, 2};
    c.max_num_seqs = 3;
    Generator generator(*policy, c, 8);
    std::vector<const Problem*> all;
    for (const Problem& problem : problems) all.push_back(&problem);
    ExperienceMaker maker{generator, tokenizer, rewards, comm, owner.exec(), lengths};
    maker.make(all, 3, 1);
    auto made = maker.make(all, 3, 2);
    if (occupancy != nullptr) *occupancy = maker.stats.occupancy;
    return made;
  }
  RewardSet rewards;
  Tokenizer tokenizer;
  std::vector<Problem> problems;
};

void expect_same(const std::vector<ScoredRollout>& a, const std::vector<ScoredRollout>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].rollout.tokens, b[i].rollout.tokens) << i;
    EXPECT_EQ(a[i].rollout.logprobs, b[i].rollout.logprobs) << i;
    EXPECT_EQ(a[i].text, b[i].text) << i;
    EXPECT_EQ(a[i].scores.total, b[i].scores.total) << i;
    EXPECT_EQ(a[i].reasons, b[i].reasons) << i;
  }
}

// One sequence at a time, of 1 to 20 tokens: some rank is always done before another has begun its last.
TEST(Experience, StolenCompletionsAreTheSame) {
  Maker maker;
  const auto expected = maker.make(*make_self_comm(), nullptr);
  std::atomic<int64_t> stolen = 0;
  for (const int ranks : {1, 2, 3, 7, 2, 3, 7}) {
    run_on_threads(ranks, [&](Comm& comm) {
      ExecOwner owner(1);
      const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
      GeneratorConfig c;
      c.max_completion_length = 20;
      c.stop_token_ids = {1, 2};
      c.max_num_seqs = 1;
      Generator generator(*policy, c, 8);
      ActivationTape tape(policy->config, policy->dtype, 400);
      tape.begin(policy->version);
      std::vector<const Problem*> all;
      for (const Problem& problem : maker.problems) all.push_back(&problem);
      ExperienceMaker experience{generator, maker.tokenizer, maker.rewards, comm, owner.exec(), nullptr, &tape};
      experience.work_stealing = true;
      std::vector<ExperienceMaker::Stage> stages;
      const auto made = experience.make(all, 3, 2, {}, [&](ExperienceMaker::Stage stage) { stages.push_back(stage); });
      expect_same(made, expected);
      stolen += experience.stats.stolen;
      if (ranks == 1) {
        EXPECT_EQ(experience.stats.stolen, 0);
      }
      ASSERT_GE(stages.size(), 2u);
      EXPECT_EQ(stages.back(), ExperienceMaker::Stage::exchange);
      EXPECT_EQ(stages[stages.size() - 2], ExperienceMaker::Stage::scoring);
      const int64_t begin = 15 * comm.rank() / comm.size(), end = 15 * (comm.rank() + 1) / comm.size();
      for (int64_t i = 0; i < 15; ++i)
        if (i < begin || i >= end) {
          EXPECT_TRUE(made[static_cast<size_t>(i)].rollout.slots.empty()) << i << " is another rank's share";
        }
    });
  }
  EXPECT_GT(stolen, 0);
}

TEST(Experience, LogitsThatAreNotFiniteNameTheProblemAndTheRemedy) {
  const auto comm = make_self_comm();
  Maker maker;
  for (size_t i = 0; i < maker.problems.size(); ++i) maker.problems[i].id = fmt::format("p{}", i);
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::f32, 9, owner.exec());
  policy->weights.f32()[policy->table.final_norm] = INFINITY;
  Generator generator(*policy, {.max_completion_length = 4}, 8);
  const std::vector<const Problem*> last = {&maker.problems[3], &maker.problems[4]};
  ExperienceMaker experience{generator, maker.tokenizer, maker.rewards, *comm, owner.exec()};
  EXPECT_ERROR(experience.make(last, 1, 1), kNonFinite, "problem 'p");
  EXPECT_ERROR(experience.make(std::span(last).subspan(1), 1, 1), kNonFinite,
               "problem 'p4', sample 0: the logits of token 1 of the completion are not finite");
  EXPECT_ERROR(experience.make(last, 1, 1), kNonFinite, "lower optim.learning_rate");
}

TEST(Experience, DependsOnNeitherLengthsNorRanks) {
  Maker maker;
  const auto self = make_self_comm();
  double occupancy = 0;
  const auto expected = maker.make(*self, nullptr, &occupancy);
  ASSERT_EQ(expected.size(), 15u);
  EXPECT_GT(occupancy, 0.3);
  EXPECT_LE(occupancy, 1.0);
  ExpectedLengths lengths;
  expect_same(maker.make(*self, &lengths), expected);
  for (const ScoredRollout& scored : expected) EXPECT_NE(scored.reasons.at(0), "") << scored.text;
  for (const int ranks : {2, 4}) {
    std::vector<std::vector<ScoredRollout>> made(static_cast<size_t>(ranks));
    std::vector<ExpectedLengths> known(static_cast<size_t>(ranks));
    run_on_threads(ranks, [&](Comm& comm) {
      const auto rank = static_cast<size_t>(comm.rank());
      made[rank] = maker.make(comm, &known[rank]);
    });
    for (const auto& of_rank : made) expect_same(of_rank, expected);
  }
}

// Judges by the first token: some fine, some late, some failing.
class Moody : public Reward {
 public:
  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }
  Verdict explain(const RewardInput& input) const override {
    switch (input.ids[0] % 4) {
      case 0:
        return {1.0, "", Missing::row, 1};
      case 1:
        return {0.0, "", Missing::row, 0};
      case 2:
        return {std::nullopt, "too slow", Missing::timeout};
      default:
        throw std::runtime_error(fmt::format("died of token {}", input.ids[0]));
    }
  }
  int workers() const override { return 2; }
  std::vector<std::string> outcome_names() const override { return {"bad", "good"}; }
};

RewardSet moody() {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<Moody>());
  return RewardSet({{.name = "moody"}}, std::move(rewards));
}

TEST(Experience, MissingScoresAreCountedAlikeOnAnyRanks) {
  Maker maker;
  maker.rewards = moody();
  const auto run = [&](Comm& comm, std::vector<MissingScores>& missing) {
    ExecOwner owner(1);
    const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
    Generator generator(*policy, {.max_completion_length = 3}, 8);
    std::vector<const Problem*> all;
    for (const Problem& problem : maker.problems) all.push_back(&problem);
    ExperienceMaker experience{generator, maker.tokenizer, maker.rewards, comm, owner.exec()};
    std::vector<ExperienceMaker::Stage> stages;
    auto made = experience.make(all, 6, 1, {}, [&](ExperienceMaker::Stage stage) { stages.push_back(stage); });
    EXPECT_EQ(stages, (std::vector{ExperienceMaker::Stage::scoring, ExperienceMaker::Stage::exchange}));
    missing = experience.stats.missing;
    return made;
  };
  std::vector<MissingScores> expected;
  const auto made = run(*make_self_comm(), expected);
  ASSERT_EQ(expected.size(), 2u) << "choose another seed";
  int64_t late = 0, failed = 0;
  for (const ScoredRollout& scored : made) {
    late += scored.scores.ends[0].missing == Missing::timeout;
    failed += scored.scores.ends[0].missing == Missing::error;
    EXPECT_EQ(scored.scores.ends[0].outcome, scored.scores.total ? static_cast<int>(*scored.scores.total) : -1);
  }
  EXPECT_EQ(expected[0].kind, Missing::timeout);
  EXPECT_EQ(expected[0].count, late);
  EXPECT_EQ(expected[1].count, failed);
  EXPECT_EQ(missing_text(expected[0], maker.rewards), fmt::format("reward 'moody': {} scores are missing: timeout: too slow", late));
  EXPECT_TRUE(expected[1].reason.starts_with("died of token ")) << expected[1].reason;
  std::vector<std::vector<MissingScores>> on_ranks(4);
  std::vector<std::vector<ScoredRollout>> made_by(4);
  run_on_threads(4, [&](Comm& comm) {
    const auto rank = static_cast<size_t>(comm.rank());
    made_by[rank] = run(comm, on_ranks[rank]);
  });
  const auto by_kind = [](const MissingScores& a, const MissingScores& b) { return a.kind < b.kind; };
  for (size_t rank = 0; rank < 4; ++rank) {
    expect_same(made_by[rank], made);
    std::ranges::sort(on_ranks[rank], by_kind);  // in the order of the ranks that found them
    EXPECT_EQ(on_ranks[rank], expected) << rank;
  }
}

TEST(Experience, MetricsSayHowScoresEnded) {
  const RewardSet rewards = moody();
  const auto row = [](std::optional<double> score, std::optional<Missing> missing, int outcome) {
    return RewardSet::Row{{score}, score, {{missing, outcome}}};
  };
  std::vector<Group> groups(2);
  groups[0].scores = {row(1.0, {}, 1), row(0.0, {}, 0), row({}, Missing::timeout, -1)};
  groups[1].scores = {row({}, Missing::error, -1), row({}, Missing::row, -1), row(1.0, {}, 1)};
  Metrics metrics;
  set_reward_metrics(metrics, rewards, groups);
  EXPECT_EQ(metrics.values(), (Json{{"rewards/moody/mean", 2.0 / 3},
                                    {"rewards/moody/std", metrics.get("rewards/moody/std")},
                                    {"rewards/moody/none", 3},
                                    {"rewards/moody/timeout", 1},
                                    {"rewards/moody/error", 1},
                                    {"rewards/moody/outcome/bad", 1},
                                    {"rewards/moody/outcome/good", 2}}));
  EXPECT_NEAR(metrics.get("rewards/moody/std"), 0.57735, 1e-5);
}

TEST(Experience, EachRankKeepsTheRowsOfWhatItSampled) {
  Maker maker;
  run_on_threads(2, [&](Comm& comm) {
    ExecOwner owner(1);
    const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
    GeneratorConfig c;
    c.max_completion_length = 20;
    Generator generator(*policy, c, 8);
    ActivationTape tape(policy->config, policy->dtype, 400);
    tape.begin(policy->version);
    std::vector<const Problem*> all;
    for (const Problem& problem : maker.problems) all.push_back(&problem);
    ExperienceMaker experience{generator, maker.tokenizer, maker.rewards, comm, owner.exec(), nullptr, &tape};
    const std::vector<ScoredRollout> made = experience.make(all, 3, 1);
    for (size_t i = 0; i < made.size(); ++i) {
      const size_t rows = all[i / 3]->tokens.size() + made[i].rollout.tokens.size() - 1;
      const bool mine = comm.rank() == 0 ? i < 7 : i >= 7;
      EXPECT_EQ(made[i].rollout.slots.size(), mine ? rows : 0) << "completion " << i << " on rank " << comm.rank();
    }
  });
}

}  // namespace
}  // namespace cohort
