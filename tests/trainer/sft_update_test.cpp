// The step of supervised fine-tuning: what is learnt and what is not, and that nothing but the examples decides the result.
#include "trainer/sft_update.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "core/rng.h"
#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"
#include "tests/trainer/thread_comm.h"
#include "trainer/sft_run.h"

namespace cohort {
namespace {

struct Result {
  std::vector<std::vector<double>> sums;  // of each step
  std::vector<std::byte> weights;
  bool operator==(const Result&) const = default;
};

// What runs of a few steps are made of.
struct Setting {
  DType dtype = DType::bf16;
  int threads = 1;
  int64_t pack_tokens = 0;
  bool gradient_checkpointing = false;
};

std::vector<Example> random_examples(int count, uint64_t seed = 11) {
  Random random(seed, Stream::kTest);
  std::vector<Example> examples;
  for (int i = 0; i < count; ++i) {
    Example example{.id = fmt::format("e{}", i)};
    const auto turns = 1 + static_cast<int64_t>(random.below(3));
    for (int64_t turn = 0; turn < turns; ++turn) {
      for (uint32_t context = 1 + random.below(6); context > 0; --context) example.tokens.push_back(static_cast<int32_t>(random.below(80)));
      const auto begin = static_cast<int64_t>(example.tokens.size());
      for (uint32_t said = 1 + random.below(9); said > 0; --said) example.tokens.push_back(static_cast<int32_t>(random.below(80)));
      example.learnt.push_back({begin, static_cast<int64_t>(example.tokens.size())});
    }
    examples.push_back(std::move(example));
  }
  return examples;
}

std::vector<const Example*> pointers(const std::vector<Example>& examples) {
  std::vector<const Example*> all;
  for (const Example& example : examples) all.push_back(&example);
  return all;
}

std::vector<double> values(const TokenSums& sums) { return {sums.tokens, sums.loss, sums.entropy, sums.right}; }

// Three steps on the same examples, on this rank of `comm`.
Result run_steps(const Setting& setting, const std::vector<Example>& examples, Comm& comm) {
  ExecOwner owner(setting.threads);
  const auto policy = tiny_policy(setting.dtype, 5, owner.exec());
  TrainerSection trainer;
  trainer.logical_ranks = 4;
  trainer.pack_tokens = setting.pack_tokens;
  trainer.gradient_checkpointing = setting.gradient_checkpointing;
  Optimizer optimizer(*policy, {.learning_rate = 1e-2f}, 4, comm);
  SftUpdater updater(*policy, optimizer, trainer, comm);
  Result result;
  for (int step = 1; step <= 3; ++step) {
    result.sums.push_back(values(updater.step(pointers(examples), 1e-2, "test", owner.exec())));
    result.sums.back().push_back(updater.grad_norm());
    result.sums.push_back(values(updater.evaluate(examples, "test", owner.exec())));
  }
  result.weights = FlatWeights(*policy).bytes;
  return result;
}

TEST(SftUpdate, LearnsTheLearntTokensAlone) {
  const auto comm = make_self_comm();
  const std::vector<Example> examples = random_examples(6);
  const Result result = run_steps({}, examples, *comm);
  int64_t targets = 0;
  for (const Example& example : examples) targets += example.targets();
  EXPECT_EQ(result.sums[0][0], static_cast<double>(targets));
  EXPECT_LT(result.sums[5][1], result.sums[0][1]) << "the loss falls";
  EXPECT_EQ(result.sums[1], std::vector<double>(result.sums[2].begin(), result.sums[2].end() - 1))
      << "an evaluation after a step sees what the next step sees";
  // What stands behind the last learnt token, and before it in other texts, is in no gradient; a token between two turns is, as context.
  const auto weights_with = [&](auto change) {
    std::vector<Example> changed = examples;
    change(changed);
    return run_steps({}, changed, *comm).weights;
  };
  EXPECT_NE(weights_with([](std::vector<Example>& some) { some[0].tokens[0] = (some[0].tokens[0] + 1) % 80; }), result.weights);
  EXPECT_NE(weights_with([](std::vector<Example>& some) { some[0].learnt[0].end -= some[0].learnt[0].size() > 1 ? 1 : 0, some[1].learnt.resize(1); }), result.weights);
}

// The sums of each example alone, in float32 as the head computes them, added up in double: the definition.
TEST(SftUpdate, SumsAreThoseOfEachExampleAlone) {
  const auto comm = make_self_comm();
  const std::vector<Example> examples = random_examples(5);
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::f32, 5, owner.exec());
  Optimizer optimizer(*policy, {}, 4, *comm);
  TrainerSection trainer;
  trainer.logical_ranks = 4;
  SftUpdater updater(*policy, optimizer, trainer, *comm);
  TrainState state(*policy, 64, 64);
  TokenSums expected;
  for (const Example& example : examples) {
    TokenPack pack;
    append_text(pack, example.tokens);
    std::vector<float> logprobs(pack.targets.size()), entropies(pack.targets.size()), best(pack.targets.size());
    pack_logprobs(*policy, state, pack, 1.0f, logprobs, entropies, owner.exec(), best);
    TokenSums one;
    for (const TokenSpan& span : example.learnt) {
      for (auto i = static_cast<size_t>(span.begin) - 1; i < static_cast<size_t>(span.end) - 1; ++i) {
        one.tokens += 1, one.loss -= static_cast<double>(logprobs[i]), one.entropy += static_cast<double>(entropies[i]);
        one.right += logprobs[i] >= best[i] ? 1 : 0;
      }
    }
    expected.add(one);
  }
  EXPECT_EQ(values(updater.evaluate(examples, "test", owner.exec())), values(expected));
  EXPECT_EQ(values(updater.step(pointers(examples), 1e-2, "test", owner.exec())), values(expected));
}

TEST(SftUpdate, PacksChangeNoMetricAndHardlyTheGradient) {
  const auto comm = make_self_comm();
  const std::vector<Example> examples = random_examples(9);
  const Result whole = run_steps({.dtype = DType::f32}, examples, *comm);
  for (const int64_t pack_tokens : {1, 40, 100, 4096}) {
    const Result packed = run_steps({.dtype = DType::f32, .pack_tokens = pack_tokens}, examples, *comm);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(packed.sums[0][i], whole.sums[0][i]) << pack_tokens << ": the first step's sums are the same bits";
    EXPECT_NEAR(packed.sums[0][4], whole.sums[0][4], 1e-6 * whole.sums[0][4]) << "sums of gradients are rounded in another order";
  }
}

TEST(SftUpdate, RanksThreadsAndCheckpointingChangeNoBit) {
  const std::vector<Example> examples = random_examples(9);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto alone = make_self_comm();
    const Result expected = run_steps({.dtype = dtype}, examples, *alone);
    EXPECT_EQ(run_steps({.dtype = dtype, .threads = 2}, examples, *alone), expected);
    EXPECT_EQ(run_steps({.dtype = dtype, .gradient_checkpointing = true}, examples, *alone), expected);
    for (const int ranks : {2, 3, 4}) {
      std::vector<Result> results(static_cast<size_t>(ranks));
      run_on_threads(ranks, [&](Comm& comm) { results[static_cast<size_t>(comm.rank())] = run_steps({.dtype = dtype}, examples, comm); });
      for (const Result& result : results) EXPECT_EQ(result, expected) << ranks;
    }
  }
}

// More examples than an evaluation packs at once, and fewer than logical ranks.
TEST(SftUpdate, EvaluatesAnyNumberOfExamples) {
  const std::vector<Example> many = random_examples(1030), one = random_examples(1);
  const auto alone = make_self_comm();
  const auto evaluate = [](const std::vector<Example>& examples, Comm& comm) {
    ExecOwner owner(1);
    const auto policy = tiny_policy(DType::bf16, 5, owner.exec());
    TrainerSection trainer;
    trainer.logical_ranks = 4;
    Optimizer optimizer(*policy, {}, 4, comm);
    SftUpdater updater(*policy, optimizer, trainer, comm);
    int64_t done = 0;
    const TokenSums sums = updater.evaluate(examples, "test", owner.exec(), [&](int64_t now, int64_t) { done = now; });
    CHECK(done == std::ssize(examples), "{} of {} examples", done, examples.size());
    return values(sums);
  };
  for (const std::vector<Example>& examples : {many, one}) {
    const std::vector<double> expected = evaluate(examples, *alone);
    int64_t targets = 0;
    for (const Example& example : examples) targets += example.targets();
    EXPECT_EQ(expected[0], static_cast<double>(targets));
    run_on_threads(3, [&](Comm& comm) { CHECK(evaluate(examples, comm) == expected, "rank {} has other sums", comm.rank()); });
  }
}

TEST(SftUpdate, ALogProbThatIsNotFiniteStopsBeforeTheWeightsChange) {
  const auto comm = make_self_comm();
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::f32, 5, owner.exec());
  FlatWeights flat(*policy);
  flat.set(policy->table.head + 3 * policy->config.hidden_size, std::numeric_limits<float>::quiet_NaN());
  flat.put(*policy, owner.exec());
  TrainerSection trainer;
  trainer.logical_ranks = 4;
  Optimizer optimizer(*policy, {}, 4, *comm);
  SftUpdater updater(*policy, optimizer, trainer, *comm);
  const std::vector<Example> examples = random_examples(2);
  EXPECT_ERROR(updater.step(pointers(examples), 1e-2, "step 4", owner.exec()), kNonFinite, "step 4, example 'e0', token ");
  EXPECT_ERROR(updater.evaluate(examples, "evaluation after step 4", owner.exec()), kNonFinite, "evaluation after step 4, example 'e0'");
  EXPECT_EQ(optimizer.steps_done(), 0);
}

TEST(SftRunSteps, EpochsAreExamplesRounded) {
  EXPECT_EQ(examples_in(3, 10), 30);
  EXPECT_EQ(examples_in(0.5, 10), 5);
  EXPECT_EQ(examples_in(0.25, 10), 3);
  EXPECT_EQ(examples_in(0.001, 10), 1);
}

}  // namespace
}  // namespace cohort
