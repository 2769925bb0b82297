// Sampling beside training: the copy of the weights stays what it was while the policy learns, and what happens beside is told.
#include "trainer/overlap.h"

#include <atomic>

#include "model/policy_copy.h"
#include "tests/core/expect_error.h"
#include "tests/trainer/tiny_run.h"

namespace cohort {
namespace {

// Without the end of the table, which only evens out its shards.
std::vector<std::byte> weights_of(const Policy& policy) {
  std::vector<std::byte> bytes = FlatWeights(policy).bytes;
  bytes.resize(static_cast<size_t>(policy.table.entries.back().offset + policy.table.entries.back().size()) * dtype_size(policy.dtype));
  return bytes;
}

TEST(Overlap, TheRanksThreadsAreSharedOut) {
  for (const auto& [threads, sampling, training] : {std::tuple(1, 1, 1), {2, 1, 1}, {3, 2, 1}, {8, 4, 4}}) {
    EXPECT_EQ(sampling_threads(threads), sampling);
    EXPECT_EQ(training_threads(threads), training);
  }
}

TEST(Overlap, TheCopyIsThePolicyOfThatMomentBitForBit) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    TinyRun run(dtype, 2);
    Overlap overlap(*run.policy, run.owner.exec());
    const std::string before = weights_fingerprint(*run.policy);
    EXPECT_EQ(weights_of(overlap.policy()), weights_of(*run.policy));
    run.update(run.sample(1, {{1, 0, 0, 1}}), 1);
    EXPECT_NE(weights_of(overlap.policy()), weights_of(*run.policy)) << "it does not learn";
    EXPECT_EQ(overlap.policy().version, 0);
    overlap.begin(*run.policy, [](const auto&, const auto&) {});
    overlap.wait([](Overlap::Stage) {});
    EXPECT_EQ(weights_of(overlap.policy()), weights_of(*run.policy));
    EXPECT_EQ(overlap.policy().version, 1);
    EXPECT_NE(weights_fingerprint(*run.policy), before);
  }
}

TEST(Overlap, WhoWaitsIsToldWhatFor) {
  TinyRun run(DType::f32, 3);
  Overlap overlap(*run.policy, run.owner.exec());
  EXPECT_EQ(overlap.training().pool->size(), 3) << "all threads, while nothing is sampled";
  std::atomic<int> go = 0;
  overlap.begin(*run.policy, [&](const auto& entering, const auto&) {
    go.wait(0);
    entering(Overlap::Stage::scoring);
    go.wait(1);
  });
  EXPECT_EQ(overlap.training().pool->size(), 1);
  EXPECT_EQ(overlap.sampling().pool->size(), 2);
  EXPECT_ERROR(overlap.begin(*run.policy, {}), kInternal, "while sampling is under way");
  std::vector<Overlap::Stage> stages;
  overlap.wait([&](Overlap::Stage stage) {
    stages.push_back(stage);
    ++go;
    go.notify_all();
  });
  EXPECT_EQ(stages, (std::vector{Overlap::Stage::sampling, Overlap::Stage::scoring}));
  EXPECT_FALSE(overlap.begun());
  overlap.wait([](Overlap::Stage) { FAIL() << "nothing was begun"; });
}

TEST(Overlap, AFailureIsThrownWhereItIsWaitedFor) {
  TinyRun run;
  Overlap overlap(*run.policy, run.owner.exec());
  overlap.begin(*run.policy, [](const auto&, const auto&) { fail(ExitCode::kNonFinite, "problem 'p7', sample 3"); });
  EXPECT_ERROR(overlap.wait([](Overlap::Stage) {}), kNonFinite, "problem 'p7', sample 3");
  overlap.begin(*run.policy, [](const auto&, const auto&) {});
  overlap.wait([](Overlap::Stage) {});
}

TEST(Overlap, WhatIsUnderWayIsLeftWhenTheRunEnds) {
  TinyRun run;
  bool left = false;
  {
    Overlap overlap(*run.policy, run.owner.exec());
    overlap.begin(*run.policy, [&](const auto&, const auto& cancelled) {
      while (!cancelled()) std::this_thread::yield();
      left = true;
    });
  }
  EXPECT_TRUE(left);
}

}  // namespace
}  // namespace cohort
