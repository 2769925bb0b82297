// Scored completions are the same for any number of ranks and whatever is known of their lengths.
#include "trainer/experience.h"

#include <gtest/gtest.h>

#include "tests/core/expect_error.h"
#include "tests/rollout/tiny_text.h"
#include "tests/trainer/thread_comm.h"

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
  }
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
