// The update: what must move the weights, what must not, and that nothing but the batch decides the result.
#include "trainer/update.h"

#include <cmath>
#include <random>

#include "tests/core/expect_error.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/tape_size.h"

namespace cohort {
namespace {

const std::vector<std::vector<double>> kMixed = {{1, 0, 0, 1}, {0, 0, 0, 0}, {0, 0.5, 1, 0}};

TEST(Update, TheFirstRatioIsExactlyOne) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const float temperature : {1.0f, 0.7f}) {
      TinyRun run(dtype, 2);
      run.config.rollout.temperature = temperature;
      for (int64_t step = 1; step <= 3; ++step) {
        const Metrics metrics = run.update(run.sample(static_cast<uint32_t>(step), kMixed), step);
        EXPECT_EQ(metrics.get("sampling/sampling_logp_difference/max"), 0);
        EXPECT_EQ(metrics.get("sampling/importance_sampling_ratio/min"), 1);
        EXPECT_EQ(metrics.get("sampling/importance_sampling_ratio/max"), 1);
        EXPECT_EQ(metrics.get("clip_ratio/region_mean"), 0);
        EXPECT_GT(metrics.get("grad_norm"), 0);
        EXPECT_GT(metrics.get("entropy"), 0);
      }
    }
  }
}

TEST(Update, GroupsOfEqualRewardsLeaveTheWeightsUntouched) {
  TinyRun run;
  run.update(run.sample(1, kMixed), 1);  // moments are not zero any more
  const std::vector<std::byte> before = run.weights();
  const Metrics metrics = run.update(run.sample(2, {{1, 1, 1, 1}, {0.3, 0.3, 0.3, 0.3}}), 2);
  EXPECT_EQ(run.weights(), before);
  EXPECT_EQ(metrics.get("grad_norm"), 0);
  EXPECT_EQ(metrics.get("loss"), 0);
  EXPECT_EQ(metrics.get("clip_ratio/region_mean"), 0);
}

TEST(Update, AGroupWithoutSignalAddsNothing) {
  // With one logical rank and one pack a group, running the silent group or not gives the same bits.
  std::vector<std::vector<std::byte>> results;
  for (const bool skip : {true, false}) {
    TinyRun run(DType::f32);
    run.config.trainer.logical_ranks = 1;
    run.config.trainer.pack_tokens = 44;
    run.config.trainer.skip_zero_advantage = skip;
    run.update(run.sample(1, kMixed), 1);
    results.push_back(run.weights());
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST(Update, MovesProbabilityTowardsTheRewarded) {
  TinyRun run(DType::f32);
  const std::vector<Group> groups = run.sample(1, {{1, 0, 0, 0}});
  const auto sum = [&](size_t sample) {
    TokenPack pack;
    const std::vector<int32_t>& completion = groups[0].rollouts[sample].tokens;
    pack.tokens = run.prompts[0];
    pack.tokens.insert(pack.tokens.end(), completion.begin(), completion.end() - 1);
    for (size_t p = 0; p < pack.tokens.size(); ++p) pack.positions.push_back(static_cast<int32_t>(p));
    pack.runs.push_back({0, static_cast<int64_t>(pack.tokens.size()), 0, 0});
    for (size_t t = 0; t < completion.size(); ++t) {
      pack.rows.push_back(static_cast<int32_t>(run.prompts[0].size() + t - 1));
      pack.targets.push_back(completion[t]);
    }
    TrainState state(*run.policy, 32, 32);
    std::vector<float> logprobs(completion.size());
    pack_logprobs(*run.policy, state, pack, 1.0f, logprobs, {}, run.owner.exec());
    double total = 0;
    for (const float l : logprobs) total += static_cast<double>(l);
    return total;
  };
  const double good = sum(0), bad = sum(1) + sum(2) + sum(3);
  run.config.optim.learning_rate = 1e-4f;
  run.update(groups, 1);
  EXPECT_GT(sum(0), good);
  EXPECT_LT(sum(1) + sum(2) + sum(3), bad);
}

TEST(Update, BitsDoNotDependOnThreads) {
  std::vector<std::byte> first;
  std::string line;
  for (const int threads : {1, 2, 3}) {
    TinyRun run(DType::bf16, threads);
    Metrics metrics;
    for (int64_t step = 1; step <= 2; ++step) metrics = run.update(run.sample(static_cast<uint32_t>(step), kMixed), step);
    if (first.empty()) first = run.weights(), line = dump_json(metrics.values());
    EXPECT_EQ(run.weights(), first) << threads;
    EXPECT_EQ(dump_json(metrics.values()), line);
  }
}

TEST(Update, TheObjectiveDoesNotDependOnPacks) {
  // The order of additions does, so this one has a tolerance; ranks and threads need none.
  double norm = 0, loss = 0;
  for (const int64_t pack_tokens : {0, 30, 1000}) {
    TinyRun run(DType::f32);
    run.config.trainer.pack_tokens = pack_tokens;
    run.config.algorithm.loss_type = "grpo";
    const Metrics metrics = run.update(run.sample(1, kMixed), 1);
    if (norm == 0) norm = metrics.get("grad_norm"), loss = metrics.get("loss");
    EXPECT_NEAR(metrics.get("grad_norm"), norm, 1e-5 * norm);
    EXPECT_NEAR(metrics.get("loss"), loss, 1e-6);
  }
}

TEST(Update, AReferenceEqualToThePolicyChangesNothingAtFirst) {
  std::vector<std::byte> without;
  for (const float beta : {0.0f, 0.1f}) {
    TinyRun run(DType::f32);
    run.config.algorithm.beta = beta;
    run.config.trainer.skip_zero_advantage = false;
    const auto reference = tiny_policy(DType::f32, 5, run.owner.exec());
    const Metrics metrics = run.update(run.sample(1, kMixed), 1, beta > 0 ? reference.get() : nullptr);
    if (beta == 0) without = run.weights();
    if (beta > 0) {
      EXPECT_EQ(metrics.get("kl"), 0);
      EXPECT_EQ(run.weights(), without);
      EXPECT_GT(run.update(run.sample(2, kMixed), 2, reference.get()).get("kl"), 0);  // and pulls back from then on
    }
  }
}

TEST(Update, MoreIterationsLeaveRatioOne) {
  TinyRun run(DType::f32);
  run.config.algorithm.num_iterations = 3;
  const Metrics metrics = run.update(run.sample(1, kMixed), 1);
  EXPECT_EQ(metrics.get("sampling/importance_sampling_ratio/max"), 1);  // of the first iteration
  EXPECT_GT(metrics.get("clip_ratio/region_mean"), 0);                  // of all: the rate is large
  EXPECT_EQ(run.optimizer->steps_done(), 3);
}

// What is clipped is a share of all tokens, as TRL counts it: that a group without signal is not run does not change it.
TEST(Update, ClipRatiosDoNotDependOnWhatIsSkipped) {
  for (const char* level : {"token", "sequence"}) {
    std::vector<double> ratios;
    for (const bool skip : {true, false}) {
      TinyRun run(DType::f32);
      run.config.algorithm.num_iterations = 3;
      run.config.algorithm.importance_sampling_level = level;
      run.config.trainer.logical_ranks = 1;
      run.config.trainer.pack_tokens = 44;  // a pack a group: the same additions
      run.config.trainer.skip_zero_advantage = skip;
      const Metrics metrics = run.update(run.sample(1, kMixed), 1);
      for (const char* name : {"clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean"}) ratios.push_back(metrics.get(name));
    }
    EXPECT_GT(ratios[2], 0) << level;
    EXPECT_EQ(std::vector(ratios.begin(), ratios.begin() + 3), std::vector(ratios.begin() + 3, ratios.end())) << level;
    // A sequence has one ratio and counts once: three iterations of 12 completions.
    if (std::string_view(level) == "sequence") {
      EXPECT_NEAR(ratios[2] * 36, std::round(ratios[2] * 36), 1e-9);
    }
  }
}

TEST(Update, MaskedCompletionsTeachNothing) {
  TinyRun run(DType::f32);
  run.config.algorithm.mask_truncated_completions = true;
  std::vector<Group> groups = run.sample(1, kMixed);
  for (Group& group : groups)
    for (Rollout& rollout : group.rollouts) rollout.finish_reason = FinishReason::length;
  const std::vector<std::byte> before = run.weights();
  run.update(groups, 1);
  EXPECT_EQ(run.weights(), before);
}

TEST(Update, ActivationsKeptWhileSamplingChangeNoBit) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed, Stream::kTest);
  int whole = 0, in_gradient = 0, in_part = 0;
  for (int setting = 0; setting < 24; ++setting) {
    const DType dtype = random.below(2) == 0 ? DType::f32 : DType::bf16;
    const int threads = static_cast<int>(random.between(1, 3));
    const int64_t pack_tokens[] = {0, 20, 44, 1000};
    Config config = TinyRun().config;
    config.trainer.pack_tokens = pack_tokens[random.below(4)];
    config.trainer.logical_ranks = int64_t{1} << random.between(0, 2);
    config.trainer.skip_zero_advantage = random.below(2) == 0;
    config.algorithm.num_iterations = random.below(3) == 0 ? 2 : 1;
    config.algorithm.beta = random.below(3) == 0 ? 0.1f : 0;
    const bool checkpointing = random.below(3) == 0;
    const int64_t slots = random.below(3) > 0 ? random.between(10, 160) : 160;
    const int64_t sequences = random.between(1, 8), budget = random.between(1, 60);
    std::vector<std::byte> weights;
    std::string line;
    for (const bool with_tape : {false, true}) {
      TinyRun run(dtype, threads);
      run.config = config;
      run.keeps_updater = true;
      const auto reference = tiny_policy(dtype, 5, run.owner.exec());
      if (with_tape) {
        run.config.trainer.gradient_checkpointing = checkpointing;
        run.tape.emplace(run.policy->config, dtype, slots, tape_rows(run.config));
        run.generator.max_num_seqs = sequences, run.generator.max_num_batched_tokens = budget;
      }
      Metrics metrics;
      for (int64_t step = 1; step <= 3; ++step) {
        metrics = run.update(run.sample(static_cast<uint32_t>(step), kMixed), step, reference.get());
        const double reused = metrics.get("perf/reused_rows") * static_cast<double>(config.algorithm.num_iterations);
        EXPECT_TRUE(with_tape || reused == 0);
        in_gradient += with_tape && run.tape->gradient() != nullptr;
        whole += reused == 1, in_part += reused > 0 && reused < 1;
        metrics.set("perf/reused_rows", 0.0);
      }
      if (!with_tape) weights = run.weights(), line = dump_json(metrics.values());
      EXPECT_EQ(run.weights(), weights) << "setting " << setting << ", " << slots << " slots";
      EXPECT_EQ(dump_json(metrics.values()), line);
    }
  }
  EXPECT_GT(whole, 0);
  EXPECT_GT(in_gradient, 0);
  EXPECT_GT(in_part, 0);
}

TEST(Update, ATapeOfAnotherVersionIsRefused) {
  TinyRun run(DType::f32);
  run.tape.emplace(run.policy->config, DType::f32, 160);
  const std::vector<Group> groups = run.sample(1, kMixed);
  run.update(groups, 1);
  EXPECT_ERROR(run.update(groups, 2), kInternal, "the tape holds rows of policy version 0, the policy is at 1");
}

TEST(Update, NonFiniteNumbersStopBeforeTheWeightsChange) {
  TinyRun run(DType::f32);
  std::vector<Group> groups = run.sample(1, kMixed);
  groups[2].rollouts[1].logprobs[0] = -INFINITY;
  const std::vector<std::byte> before = run.weights();
  EXPECT_ERROR(run.update(groups, 1), kNonFinite, "problem 'p2', completion 1, token 0");
  EXPECT_EQ(run.weights(), before);
}

TEST(Update, AReferenceThatIsNotFiniteIsNamed) {
  for (const bool in_reward : {false, true}) {
    TinyRun run(DType::f32);
    run.config.algorithm.beta = 0.1f;
    run.config.algorithm.use_kl_in_reward = in_reward;
    std::vector<Group> groups = run.sample(1, {{1, 0, 0, 1}, {0, 1}});
    const auto reference = tiny_policy(DType::f32, 5, run.owner.exec());
    reference->weights.f32()[reference->table.final_norm] = INFINITY;
    const std::vector<std::byte> before = run.weights();
    run.make_optimizer();
    Updater updater(*run.policy, reference.get(), *run.optimizer, run.config, *run.comm);
    Metrics metrics;
    const auto act = [&] {
      if (in_reward) return updater.set_reference_logprobs(groups, run.names, 4, run.owner.exec());
      updater.update(groups, run.names, 4, metrics, run.owner.exec());
    };
    EXPECT_ERROR(act(), kNonFinite, "step 4, problem 'p0', completion 0, token 0: the reference model's log-prob is ");
    EXPECT_ERROR(act(), kNonFinite, "or set algorithm.beta to 0");
    EXPECT_EQ(run.weights(), before);
  }
}

TEST(Update, BrokenWeightsAreNoticedByTheirLogProbs) {
  TinyRun run(DType::f32);
  const std::vector<Group> groups = run.sample(1, kMixed);
  float nan = NAN;
  set_weights(*run.policy, run.policy->table.layers[1].down, {&nan, DType::f32, {1}}, run.owner.exec());
  EXPECT_ERROR(run.update(groups, 1), kNonFinite, "step 1");
}

}  // namespace
}  // namespace cohort
