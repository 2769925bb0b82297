// Losses, advantages, KL and entropy through the update: the limits in which they meet, and that every key of `algorithm` does something.
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "tests/core/expect_error.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/config_schema.h"
#include "trainer/group_advantages.h"
#include "trainer/select_completions.h"

namespace cohort {
namespace {

const std::vector<std::vector<double>> kMixed = {{1, 0, 0, 1}, {0, 0, 0, 0}, {0, 0.5, 1, 0}};

struct AlgorithmRun : TinyRun {
  explicit AlgorithmRun(const AlgorithmSection& algorithm, DType dtype = DType::f32, int threads = 1) : TinyRun(dtype, threads) {
    config.algorithm = algorithm;
    config.reward = {{"last_number", 1.0, Json::object()}, {"exact", 0.5, Json::object()}};
    config.trainer.prompts_per_step = 3;
  }
  // Two scores a completion, whose weighted sum is another order than either.
  std::vector<Group> scored(uint32_t step, const std::vector<std::vector<double>>& rewards = kMixed) {
    std::vector<Group> groups = sample(step, rewards);
    for (size_t g = 0; g < groups.size(); ++g)
      for (size_t i = 0; i < rewards[g].size(); ++i) {
        const double second = rewards[g][i] > 0 ? static_cast<double>(i) : 0.0;
        groups[g].scores.push_back({.scores = {rewards[g][i], second}, .total = rewards[g][i] + 0.5 * second, .ends = {}});
      }
    return groups;
  }
  // Rewards to weights, as a step of a run.
  Metrics step(std::vector<Group> groups, int64_t at, const Policy* reference) {
    if (!optimizer) make_optimizer();
    Updater updater(*policy, reference, *optimizer, config, *comm);
    if (config.algorithm.use_kl_in_reward) updater.set_reference_logprobs(groups, names, at, owner.exec());
    select_completions(groups, config.algorithm);
    set_group_advantages(groups, config);
    Metrics metrics;
    updater.update(groups, names, at, metrics, owner.exec(), tape ? &*tape : nullptr);
    bonus = updater.entropy_bonus().coefficient;
    return metrics;
  }
  double bonus = 0;
};

std::unique_ptr<Policy> other_policy(const Exec& ex) {
  auto policy = tiny_policy(DType::f32, 5, ex);
  init_weights(*policy, 77, ex);
  return policy;
}

std::vector<std::byte> weights_after(const AlgorithmSection& algorithm, int steps = 1) {
  AlgorithmRun run(algorithm);
  const auto reference = other_policy(run.owner.exec());
  for (int at = 1; at <= steps; ++at) run.step(run.scored(static_cast<uint32_t>(at)), at, algorithm.beta > 0 ? reference.get() : nullptr);
  return run.weights();
}

TEST(Algorithm, OnPolicyTheLossesMoveTheWeightsAlike) {
  const auto with = [](const char* loss_type, const char* mode) {
    return weights_after({.loss_type = loss_type, .loss_agg_mode = mode, .epsilon_high = std::string(loss_type) == "cispo" ? 5.0f : -1.0f});
  };
  for (const char* mode : {"token-mean", "seq-mean-token-mean", "seq-mean-token-sum"}) {
    const std::vector<std::byte> expected = with("grpo", mode);
    for (const char* loss_type : {"dapo", "bnpo", "dr_grpo", "cispo", "sapo", "reinforce"})
      EXPECT_EQ(with(loss_type, mode), expected) << loss_type << " " << mode;
  }
  EXPECT_EQ(weights_after({.loss_type = "dapo"}), weights_after({.loss_type = "reinforce"}));
}

TEST(Algorithm, GspoOfCompletionsOfOneTokenIsGrpo) {
  std::vector<std::byte> weights[2];
  for (const bool gspo : {false, true}) {
    AlgorithmRun run({.loss_type = gspo ? "gspo" : "grpo", .beta = 0.1f, .num_iterations = 3});
    run.config.rollout.max_completion_length = 1;
    const auto reference = other_policy(run.owner.exec());
    const Metrics metrics = run.step(run.scored(1), 1, reference.get());
    EXPECT_GT(metrics.get("grad_norm"), 0);
    EXPECT_EQ(run.optimizer->steps_done(), 3);
    weights[gspo] = run.weights();
  }
  EXPECT_EQ(weights[0], weights[1]);
}

TEST(Algorithm, DrGrpoOfOneLengthIsGrpoTimesAConstant) {
  double norms[2];
  for (const bool dr : {false, true}) {
    AlgorithmRun run({.loss_type = dr ? "dr_grpo" : "grpo", .scale_rewards = "none"});
    run.generator.min_completion_length = 10;
    std::vector<Group> groups = run.scored(1);
    run.config.rollout.max_completion_length = 40;  // completions have 10
    norms[dr] = run.step(groups, 1, nullptr).get("grad_norm");
  }
  EXPECT_EQ(norms[1], norms[0] / 4);
}

TEST(Algorithm, AReferenceEqualToThePolicyChangesNothingAtFirst) {
  for (const char* estimator : {"k2", "k3"})
    for (const bool corrected : {false, true})
      for (const char* loss_type : {"dapo", "grpo", "gspo", "sapo", "reinforce"}) {
        std::vector<std::byte> without;
        for (const float beta : {0.0f, 0.1f}) {
          AlgorithmRun run({.loss_type = loss_type, .beta = beta, .kl_estimator = estimator, .use_bias_correction_kl = corrected});
          run.config.trainer.skip_zero_advantage = false;
          const auto reference = tiny_policy(DType::f32, 5, run.owner.exec());
          const Metrics metrics = run.step(run.scored(1), 1, reference.get());
          if (beta == 0) {
            without = run.weights();
            continue;
          }
          EXPECT_EQ(run.weights(), without) << loss_type << estimator << corrected;
          EXPECT_EQ(metrics.get("kl"), 0);
        }
      }
  // In the reward as well.
  std::vector<std::byte> without;
  for (const bool in_reward : {false, true}) {
    AlgorithmRun run({.beta = in_reward ? 0.1f : 0.0f, .kl_estimator = "k1", .use_kl_in_reward = in_reward});
    const auto reference = tiny_policy(DType::f32, 5, run.owner.exec());
    run.step(run.scored(1), 1, reference.get());
    if (!in_reward) {
      without = run.weights();
      continue;
    }
    EXPECT_EQ(run.weights(), without);
  }
}

TEST(Algorithm, PartsOfAStepAreUpdatesOfTheirOwn) {
  const AlgorithmSection algorithm{.beta = 0.05f};
  AlgorithmRun together(algorithm), apart(algorithm);
  const auto reference = other_policy(together.owner.exec());
  together.config.algorithm.steps_per_generation = 3;
  together.config.algorithm.num_iterations = 2;
  const std::vector<Group> groups = together.scored(1);
  const Metrics metrics = together.step(groups, 1, reference.get());
  EXPECT_EQ(together.optimizer->steps_done(), 6);
  EXPECT_EQ(metrics.get("sampling/importance_sampling_ratio/max"), 1);  // of the first update: the others' completions are older

  apart.make_optimizer();
  std::vector<Group> all = apart.scored(1);
  set_group_advantages(all, apart.config);
  for (int iteration = 0; iteration < 2; ++iteration)
    for (size_t g = 0; g < 3; ++g) {
      Updater updater(*apart.policy, reference.get(), *apart.optimizer, apart.config, *apart.comm);
      Metrics ignored;
      updater.update({&all[g], 1}, {&apart.names[g], 1}, 1, ignored, apart.owner.exec());
    }
  EXPECT_EQ(together.weights(), apart.weights());
}

TEST(Algorithm, TheEntropyBonusOpensThePolicyAlsoWithoutASignal) {
  const std::vector<std::vector<double>> equal(3, std::vector<double>(4));
  AlgorithmRun run({.entropy_coef = 0.5f});
  run.config.optim.learning_rate = 1e-3f;
  const std::vector<Group> groups = run.scored(1, equal);
  const Metrics first = run.step(groups, 1, nullptr);
  EXPECT_GT(first.get("grad_norm"), 0);
  EXPECT_EQ(first.get("policy_loss"), 0);
  EXPECT_NEAR(first.get("loss"), -0.5 * first.get("entropy"), 1e-9);
  EXPECT_EQ(first.get("entropy_coef"), 0.5);
  EXPECT_GT(run.step(groups, 2, nullptr).get("entropy"), first.get("entropy"));
}

TEST(Algorithm, TheAdaptiveBonusBeginsAtTheSecondUpdateAndGrows) {
  AlgorithmRun run({.entropy_coef = 0.5f, .use_adaptive_entropy = true, .entropy_target = 100, .entropy_coef_delta = 0.25f});
  run.config.algorithm.num_iterations = 2;
  const std::vector<std::vector<double>> equal(3, std::vector<double>(4));
  const Metrics metrics = run.step(run.scored(1, equal), 1, nullptr);
  EXPECT_EQ(run.bonus, 1.0);  // one step more of a quarter each, at most entropy_coef_max
  EXPECT_LT(metrics.get("loss"), 0);
  AlgorithmRun once({.entropy_coef = 0.5f, .use_adaptive_entropy = true, .entropy_target = 100});
  EXPECT_EQ(once.step(once.scored(1, equal), 1, nullptr).get("grad_norm"), 0);
}

TEST(Algorithm, TokensOfLowEntropyAreLeftOut) {
  // The same as weights of 0 and 1 that were found by hand.
  AlgorithmRun run({.top_entropy_quantile = 0.3}), by_hand({});
  by_hand.config.trainer.skip_zero_advantage = false;
  std::vector<Group> groups = run.scored(1), weighted = by_hand.scored(1);
  set_group_advantages(weighted, by_hand.config);
  const std::vector<TrainPack> packs = pack_everything(weighted, by_hand.config);
  std::vector<std::vector<float>> entropies(packs.size());
  std::vector<float> all;
  for (size_t p = 0; p < packs.size(); ++p) {
    entropies[p].resize(packs[p].tokens.targets.size());
    std::vector<float> logprobs(entropies[p].size());
    TrainState state(*by_hand.policy, 256, 256);
    pack_logprobs(*by_hand.policy, state, packs[p].tokens, 1.0f, logprobs, entropies[p], by_hand.owner.exec());
    all.insert(all.end(), entropies[p].begin(), entropies[p].end());
  }
  const double threshold = entropy_threshold(all, 0.3);
  int kept = 0;
  for (Group& group : weighted)
    for (const Rollout& rollout : group.rollouts) group.token_weights.emplace_back(rollout.tokens.size());
  for (size_t p = 0; p < packs.size(); ++p)
    for (size_t row = 0; row < entropies[p].size(); ++row) {
      const TargetRef& ref = packs[p].refs[row];
      const bool keep = static_cast<double>(entropies[p][row]) >= threshold;
      weighted[static_cast<size_t>(ref.group)].token_weights[static_cast<size_t>(ref.sample)][static_cast<size_t>(ref.position)] = keep;
      kept += keep;
    }
  EXPECT_NEAR(kept, 0.3 * static_cast<double>(all.size()), 1);
  run.step(groups, 1, nullptr);
  by_hand.update(weighted, 1);
  EXPECT_EQ(run.weights(), by_hand.weights());
}

TEST(Algorithm, TheKlOfARewardIsOfTheLogProbsAtSampling) {
  AlgorithmRun run({.beta = 0.5f, .kl_estimator = "k1", .use_kl_in_reward = true, .advantage = "none"});
  const auto reference = other_policy(run.owner.exec());
  run.make_optimizer();
  std::vector<Group> groups = run.scored(1);
  Updater updater(*run.policy, reference.get(), *run.optimizer, run.config, *run.comm);
  updater.set_reference_logprobs(groups, run.names, 1, run.owner.exec());
  set_group_advantages(groups, run.config);
  for (const Group& group : groups) {
    for (size_t i = 0; i < group.rollouts.size(); ++i) {
      TokenPack pack;
      std::vector<int32_t> text(group.prompt.begin(), group.prompt.end());
      text.insert(text.end(), group.rollouts[i].tokens.begin(), group.rollouts[i].tokens.end());
      append_text(pack, text);
      std::vector<float> logprobs(text.size() - 1);
      TrainState state(*reference, 64, 64);
      pack_logprobs(*reference, state, pack, 1.0f, logprobs, {}, run.owner.exec());
      const std::vector<float> expected(logprobs.end() - static_cast<std::ptrdiff_t>(group.rollouts[i].tokens.size()), logprobs.end());
      EXPECT_EQ(group.reference_logprobs[i], expected);
      double reward = *group.scores[i].total;
      for (size_t t = 0; t < expected.size(); ++t)
        reward -= 0.5 * (static_cast<double>(group.rollouts[i].logprobs[t]) - static_cast<double>(expected[t]));
      EXPECT_NEAR(static_cast<double>(group.advantages[i]), reward, 1e-6 * (1 + std::abs(reward)));
      EXPECT_TRUE(group.has_signal);
    }
  }
}

// Whatever has to be known before the gradient, packs, threads and the tape change no bit of it, and packs no number.
TEST(Algorithm, BitsDoNotDependOnThreadsOrTheTape) {
  const AlgorithmSection settings[] = {
      {.loss_type = "gspo", .epsilon = 0.01f, .beta = 0.1f, .use_bias_correction_kl = true, .top_entropy_quantile = 0.5, .num_iterations = 2},
      {.loss_type = "cispo", .epsilon_high = 2, .beta = 0.1f, .use_kl_in_reward = true, .advantage = "reinforce_plus_plus", .entropy_coef = 0.1f,
       .steps_per_generation = 3},
      {.loss_type = "sapo", .use_adaptive_entropy = true, .entropy_target = 9, .num_iterations = 3}};
  for (const AlgorithmSection& algorithm : settings) {
    std::vector<std::byte> expected;
    std::string line;
    for (const auto& [threads, slots, pack_tokens] : {std::tuple(1, 0, 0), {3, 0, 0}, {2, 400, 0}, {2, 60, 0}, {1, 0, 30}}) {
      AlgorithmRun run(algorithm, DType::bf16, threads);
      run.config.trainer.pack_tokens = pack_tokens;
      const auto reference = tiny_policy(DType::bf16, 5, run.owner.exec());
      init_weights(*reference, 77, run.owner.exec());
      if (slots > 0) run.tape.emplace(run.policy->config, DType::bf16, slots);
      Metrics metrics;
      double norm = 0;
      for (int at = 1; at <= 2; ++at) {
        metrics = run.step(run.scored(static_cast<uint32_t>(at)), at, reference.get());
        if (at == 1) norm = metrics.get("grad_norm");
      }
      metrics.set("perf/reused_rows", norm);
      if (expected.empty()) expected = run.weights(), line = dump_json(metrics.values());
      if (pack_tokens > 0) {  // another order of additions
        EXPECT_NEAR(norm, parse_json(line, "metrics")["perf/reused_rows"].get<double>(), 0.02 * norm);
        continue;
      }
      EXPECT_EQ(run.weights(), expected) << algorithm.loss_type << " " << threads << " threads, " << slots << " slots";
      EXPECT_EQ(dump_json(metrics.values()), line);
    }
  }
}

// Of each key a change that must change the weights after two steps. Elsewhere: the reference's refresh and dynamic sampling in
// tests/cli/algorithm_bits_test.cpp and group_filter_test.cpp, the lower bound of the adaptive bonus in entropy_test.cpp, what older
// completions count in rollout_correction_test.cpp, the teacher in distillation_test.cpp, weights of tokens in token_weights_test.cpp.
TEST(Algorithm, EveryKeyChangesTheResult) {
  using A = AlgorithmSection;
  const A off{.num_iterations = 3}, kl{.beta = 0.5f, .num_iterations = 3};
  const auto changed = [](A base, auto change) { return change(base), base; };
  const auto clipped = [&](auto change) { return changed(A{.epsilon = 0.01f, .num_iterations = 4}, change); };
  struct Row { const char* key; A before, after; };
  const std::vector<Row> rows = {
      {"loss_type", off, changed(off, [](A& a) { a.loss_type = "grpo"; })},
      {"loss_type", off, changed(off, [](A& a) { a.loss_type = "dr_grpo"; })},
      {"loss_type", off, changed(off, [](A& a) { a.loss_type = "sapo", a.loss_agg_mode = "token-mean"; })},
      {"loss_type", off, changed(off, [](A& a) { a.loss_type = "gspo", a.loss_agg_mode = "token-mean"; })},
      {"loss_type", off, changed(off, [](A& a) { a.loss_type = "cispo", a.epsilon_high = 5; })},
      {"loss_agg_mode", off, changed(off, [](A& a) { a.loss_agg_mode = "seq-mean-token-mean"; })},
      {"importance_sampling_level", off, changed(off, [](A& a) { a.importance_sampling_level = "sequence"; })},
      {"epsilon", off, changed(off, [](A& a) { a.epsilon = 0.01f; })},
      {"epsilon_high", off, changed(off, [](A& a) { a.epsilon_high = 0.01f; })},
      {"delta", clipped([](A&) {}), clipped([](A& a) { a.delta = 1.02f; })},
      {"clip_ratio_c", clipped([](A&) {}), clipped([](A& a) { a.clip_ratio_c = 1.01f; })},
      {"sapo_temperature_pos", {.loss_type = "sapo", .num_iterations = 3}, {.loss_type = "sapo", .sapo_temperature_pos = 3, .num_iterations = 3}},
      {"sapo_temperature_neg", {.loss_type = "sapo", .num_iterations = 3}, {.loss_type = "sapo", .sapo_temperature_neg = 3, .num_iterations = 3}},
      {"beta", off, kl},
      {"kl_estimator", kl, changed(kl, [](A& a) { a.kl_estimator = "k2"; })},
      {"kl_estimator", kl, changed(kl, [](A& a) { a.kl_estimator = "k1"; })},
      {"kl_input_clamp_value", kl, changed(kl, [](A& a) { a.kl_input_clamp_value = 0.1f; })},
      {"kl_output_clamp_value", kl, changed(kl, [](A& a) { a.kl_output_clamp_value = 0.1f; })},
      {"use_bias_correction_kl", kl, changed(kl, [](A& a) { a.use_bias_correction_kl = true; })},
      {"use_kl_in_reward", kl, changed(kl, [](A& a) { a.use_kl_in_reward = true; })},
      {"advantage", off, changed(off, [](A& a) { a.advantage = "rloo", a.scale_rewards = "group"; })},
      {"advantage", off, changed(off, [](A& a) { a.advantage = "none"; })},
      {"advantage", off, changed(off, [](A& a) { a.advantage = "batch"; })},
      {"advantage", off, changed(off, [](A& a) { a.advantage = "reinforce_plus_plus"; })},
      {"advantage", off, changed(off, [](A& a) { a.advantage = "reinforce_plus_plus_baseline"; })},
      {"scale_rewards", off, changed(off, [](A& a) { a.scale_rewards = "none"; })},
      {"scale_rewards", off, changed(off, [](A& a) { a.scale_rewards = "batch"; })},
      {"multi_objective_aggregation", off, changed(off, [](A& a) { a.multi_objective_aggregation = "normalize_then_sum"; })},
      {"entropy_coef", off, changed(off, [](A& a) { a.entropy_coef = 0.1f; })},
      {"use_adaptive_entropy", {.entropy_coef = 0.1f, .num_iterations = 2}, {.entropy_coef = 0.1f, .use_adaptive_entropy = true, .num_iterations = 2}},
      {"entropy_target", {.entropy_coef = 0.1f, .use_adaptive_entropy = true, .num_iterations = 3},
       {.entropy_coef = 0.1f, .use_adaptive_entropy = true, .entropy_target = 50, .num_iterations = 3}},
      {"entropy_coef_delta", {.use_adaptive_entropy = true, .entropy_target = 50, .num_iterations = 3},
       {.use_adaptive_entropy = true, .entropy_target = 50, .entropy_coef_delta = 0.1f, .num_iterations = 3}},
      {"entropy_coef_max", {.use_adaptive_entropy = true, .entropy_target = 50, .entropy_coef_delta = 0.5f, .num_iterations = 3},
       {.use_adaptive_entropy = true, .entropy_target = 50, .entropy_coef_delta = 0.5f, .entropy_coef_max = 0.3f, .num_iterations = 3}},
      {"top_entropy_quantile", off, changed(off, [](A& a) { a.top_entropy_quantile = 0.3; })},
      {"select_completions", off, changed(off, [](A& a) { a.select_completions = "best", a.num_selected = 2; })},
      {"select_completions", off, changed(off, [](A& a) { a.select_completions = "max_variance", a.num_selected = 2; })},
      {"num_selected", changed(off, [](A& a) { a.select_completions = "best", a.num_selected = 1; }),
       changed(off, [](A& a) { a.select_completions = "best", a.num_selected = 2; })},
      {"num_iterations", {}, {.num_iterations = 2}},
      {"steps_per_generation", {}, {.steps_per_generation = 3}},
      {"mask_truncated_completions", off, changed(off, [](A& a) { a.mask_truncated_completions = true; })},
  };
  std::set<std::string> seen = {"ref_model_sync_steps", "ref_model_mixup_alpha", "entropy_coef_min",
                                "filter_groups", "filter_groups_metric", "filter_groups_max_batches", "old_policy", "rollout_correction",
                                "rollout_correction_max", "rollout_correction_min", "teacher", "teacher_coef",
                                "token_weight_pattern", "token_weight"};
  for (const Row& row : rows) {
    EXPECT_NE(weights_after(row.before, 2), weights_after(row.after, 2)) << row.key;
    seen.insert(row.key);
  }
  for (const KeyRow* key : keys_of("algorithm")) EXPECT_TRUE(seen.contains(key->name)) << key->name << " is not in the table";
}

TEST(Algorithm, NonFiniteEntropiesEndWithTheTokenAtFault) {
  AlgorithmRun run({.loss_type = "gspo", .top_entropy_quantile = 0.5, .num_iterations = 2});
  std::vector<Group> groups = run.scored(1);
  set_group_advantages(groups, run.config);
  float nan = NAN;
  set_weights(*run.policy, run.policy->table.layers[1].down, {&nan, DType::f32, {1}}, run.owner.exec());
  EXPECT_ERROR(run.update(groups, 1), kNonFinite, "step 1, problem 'p0'");
}

// What is masked teaches nothing, and alone is no reason to move the weights.
TEST(Algorithm, AMaskedCompletionIsNoSignal) {
  Config config;
  config.algorithm.advantage = "none";
  config.algorithm.scale_rewards = "none";
  config.reward.resize(1);
  for (const bool masks : {false, true}) {
    config.algorithm.mask_truncated_completions = masks;
    std::vector<Group> groups(1);
    for (const double score : {0.0, 0.5}) {
      Rollout rollout;
      rollout.tokens = {5, 6};
      rollout.finish_reason = score > 0 ? FinishReason::length : FinishReason::stop;
      groups[0].rollouts.push_back(rollout);
      groups[0].scores.push_back({.scores = {score}, .total = score});
    }
    set_group_advantages(groups, config);
    EXPECT_EQ(groups[0].advantages[1], 0.5f);
    EXPECT_EQ(groups[0].has_signal, !masks);
  }
}

}  // namespace
}  // namespace cohort
