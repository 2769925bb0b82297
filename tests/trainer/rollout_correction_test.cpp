// What completions of an older policy count: the weights, losses and gradients equal the formulas in double precision and TRL's own loss
// (tests/golden/loss, made by scripts/oracles/rollout_correction.py), and the update does with them what the formula says.
#include "trainer/rollout_correction.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/hash.h"
#include "tests/core/expect_error.h"
#include "tests/trainer/loss_goldens.h"
#include "tests/trainer/tiny_run.h"

namespace cohort {
namespace {

const std::vector<std::vector<double>> kMixed = {{1, 0, 0, 1}, {0, 0, 0, 0}, {0, 0.5, 1, 0}};

AlgorithmSection section_of(const Json& keys) {
  AlgorithmSection a;
  a.loss_type = keys.value("loss_type", a.loss_type);
  a.epsilon_high = keys.value("epsilon_high", a.epsilon_high);
  a.beta = keys.value("beta", a.beta);
  a.old_policy = keys.value("old_policy", a.old_policy);
  a.rollout_correction = keys.value("rollout_correction", a.rollout_correction);
  a.rollout_correction_max = keys.value("rollout_correction_max", a.rollout_correction_max);
  a.rollout_correction_min = keys.value("rollout_correction_min", a.rollout_correction_min);
  return a;
}

TEST(RolloutCorrection, WeightsLossAndGradientEqualTheFormulas) {
  int checked = 0, by_trl = 0, masked = 0;
  for (const Json& batch : golden("rollout_correction.jsonl")) {
    Normalisers n{.max_completion_length = batch["max_completion_length"]};
    for (const Json& sequence : batch["sequences"]) {
      n.sequences += 1;
      if (!sequence["masked"].get<bool>()) n.tokens += static_cast<int64_t>(sequence["logprobs"].size());
    }
    for (const Json& expected : batch["expected"]) {
      const AlgorithmSection keys = section_of(expected["keys"]);
      const LossConfig loss_config = make_loss_config(keys);
      const RolloutCorrection correction = make_rollout_correction(keys);
      const std::string where = batch["name"].get<std::string>() + " " + dump_json(expected["keys"]);
      by_trl += expected["trl"].get<bool>();
      double loss = 0, size = 0;
      for (size_t s = 0; s < batch["sequences"].size(); ++s) {
        const Json& sequence = batch["sequences"][s];
        const auto old = sequence["old_logprobs"].get<std::vector<float>>(), recorded = sequence["recorded"].get<std::vector<float>>();
        std::vector<TokenInput> tokens;
        for (size_t t = 0; t < old.size(); ++t) {
          const double log_ratio = correction.of_sequences() ? sequence_log_ratio(old, recorded) : static_cast<double>(old[t]) - static_cast<double>(recorded[t]);
          const double weight = correction_weight(log_ratio, correction), wanted = expected["weights"][s][t];
          EXPECT_NEAR(weight, wanted, 1e-6 * wanted) << where << " " << s << "," << t;
          EXPECT_EQ(weight == 0, wanted == 0);
          masked += weight == 0;
          tokens.push_back({sequence["logprobs"][t], correction.proximal ? old[t] : recorded[t], sequence["ref_logprobs"][t], sequence["advantage"],
                            static_cast<float>(weight)});
        }
        if (sequence["masked"].get<bool>()) continue;
        const SequenceTerm term = loss_config.sequence_level ? sequence_term(tokens, loss_config) : SequenceTerm{};
        const double factor = token_weight(loss_config, n, std::ssize(tokens));
        for (size_t t = 0; t < tokens.size(); ++t, ++checked) {
          const TokenLoss token = token_loss(tokens[t], loss_config, loss_config.sequence_level ? &term : nullptr);
          loss += factor * static_cast<double>(token.loss), size += factor * std::abs(static_cast<double>(token.loss));
          const double wanted = expected["dlogprobs"][s][t], advantage = std::abs(sequence["advantage"].get<double>());
          EXPECT_NEAR(factor * static_cast<double>(token.dlogprob), wanted, 1e-6 * (std::abs(wanted) + 0.02 * factor * (advantage + static_cast<double>(keys.beta))))
              << where << " " << s << "," << t;
        }
      }
      EXPECT_NEAR(loss, expected["loss"].get<double>(), 1e-6 * (std::abs(loss) + 0.1 * size)) << where;
    }
  }
  EXPECT_GT(checked, 2000);
  EXPECT_GT(by_trl, 60);
  EXPECT_GT(masked, 100);
}

TEST(RolloutCorrection, RatiosFarAway) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const char* level : {"token", "sequence"}) {
    const RolloutCorrection truncate = make_rollout_correction({.rollout_correction = fmt::format("{}_truncate", level), .rollout_correction_min = 0.5f});
    const RolloutCorrection mask = make_rollout_correction({.rollout_correction = fmt::format("{}_mask", level), .rollout_correction_min = 0.5f});
    for (const double log_ratio : {-infinity, -1e6, -1.0}) {
      EXPECT_EQ(correction_weight(log_ratio, truncate), 0.5);
      EXPECT_EQ(correction_weight(log_ratio, mask), 0);
    }
    for (const double log_ratio : {infinity, 1e6, 1.0}) {
      EXPECT_EQ(correction_weight(log_ratio, truncate), 2);
      EXPECT_EQ(correction_weight(log_ratio, mask), 0);
    }
    EXPECT_EQ(correction_weight(0, truncate), 1);
    EXPECT_EQ(correction_weight(std::nan(""), mask), 0);
  }
  EXPECT_EQ(correction_weight(-5, make_rollout_correction({})), 1);
  EXPECT_ERROR(make_rollout_correction({.rollout_correction = "veto"}), kUsage, "unknown rollout_correction 'veto'; allowed: none");
}

// Completions of a policy that has since made a step, and what a further step makes of them.
struct OlderRun : TinyRun {
  explicit OlderRun(const AlgorithmSection& algorithm, int threads = 1) : TinyRun(DType::f32, threads) {
    groups = sample(1, kMixed);
    update(groups, 1);
    config.algorithm = algorithm;
  }
  std::vector<Group> groups;
};

// Of the policy as it is, for each token of each completion.
std::vector<std::vector<std::vector<float>>> logprobs_now(OlderRun& run) {
  std::vector<std::vector<std::vector<float>>> all;
  for (const Group& group : run.groups) {
    all.emplace_back();
    for (const Rollout& rollout : group.rollouts) {
      TokenPack pack;
      std::vector<int32_t> text(group.prompt.begin(), group.prompt.end());
      text.insert(text.end(), rollout.tokens.begin(), rollout.tokens.end());
      append_text(pack, text);
      std::vector<float> logprobs(text.size() - 1);
      TrainState state(*run.policy, 64, 64);
      pack_logprobs(*run.policy, state, pack, run.config.rollout.temperature, logprobs, {}, run.owner.exec());
      all.back().emplace_back(logprobs.end() - std::ssize(rollout.tokens), logprobs.end());
    }
  }
  return all;
}

TEST(RolloutCorrection, AnUpdateIsOneOfThePolicyAsItIsWithTheWeights) {
  for (const char* mode : {"token_truncate", "token_mask", "sequence_truncate", "sequence_mask"}) {
    for (const auto& [loss_type, iterations] : {std::pair("dapo", 1), {"gspo", 1}, {"grpo", 3}, {"reinforce", 1}}) {
      const AlgorithmSection algorithm{.loss_type = loss_type, .rollout_correction = mode, .rollout_correction_max = 1.1f, .rollout_correction_min = 0.9f,
                                       .num_iterations = iterations};
      OlderRun run(algorithm), by_hand({.loss_type = loss_type, .num_iterations = iterations});
      const Metrics metrics = run.update(run.groups, 2);
      const RolloutCorrection correction = make_rollout_correction(algorithm);
      const auto now = logprobs_now(by_hand);
      double sum = 0, count = 0;
      for (size_t g = 0; g < by_hand.groups.size(); ++g) {
        Group& group = by_hand.groups[g];
        for (size_t i = 0; i < group.rollouts.size(); ++i) {
          std::vector<float>& recorded = group.rollouts[i].logprobs;
          std::vector<float>& weights = group.token_weights.emplace_back();
          for (size_t t = 0; t < recorded.size(); ++t) {
            const double log_ratio = correction.of_sequences() ? sequence_log_ratio(now[g][i], recorded) : static_cast<double>(now[g][i][t]) - static_cast<double>(recorded[t]);
            weights.push_back(static_cast<float>(correction_weight(log_ratio, correction)));
            if (group.has_signal) sum += correction_weight(log_ratio, correction), count += 1;
          }
          recorded = now[g][i];
        }
      }
      by_hand.update(by_hand.groups, 2);
      EXPECT_EQ(run.weights(), by_hand.weights()) << mode << " " << loss_type;
      EXPECT_NEAR(metrics.get("sampling/importance_sampling_ratio/mean"), sum / count, 1e-6);
      EXPECT_GE(metrics.get("sampling/importance_sampling_ratio/max"), metrics.get("sampling/importance_sampling_ratio/mean"));
      EXPECT_GT(metrics.get("sampling/sampling_logp_difference/max"), 0) << "of what was recorded";
    }
  }
}

TEST(RolloutCorrection, EveryKeyChangesTheResultOfOlderCompletions) {
  using A = AlgorithmSection;
  const auto weights = [](const A& algorithm) {
    OlderRun run(algorithm);
    run.update(run.groups, 2);
    return run.weights();
  };
  const std::vector<A> different = {{.num_iterations = 2},
                                    {.old_policy = "proximal", .num_iterations = 2},
                                    {.rollout_correction = "token_truncate", .num_iterations = 2},
                                    {.rollout_correction = "sequence_truncate", .num_iterations = 2},
                                    {.rollout_correction = "token_truncate", .rollout_correction_max = 1.05f, .num_iterations = 2},
                                    {.rollout_correction = "token_truncate", .rollout_correction_min = 0.95f, .num_iterations = 2},
                                    {.rollout_correction = "token_mask", .rollout_correction_max = 1.05f, .num_iterations = 2},
                                    {.rollout_correction = "sequence_mask", .rollout_correction_max = 1.05f, .num_iterations = 2},
                                    {.old_policy = "recorded", .rollout_correction = "token_mask", .rollout_correction_max = 1.05f, .num_iterations = 2}};
  std::vector<std::string> seen;
  for (const A& algorithm : different) {
    const std::vector<std::byte> bytes = weights(algorithm);
    seen.push_back(fingerprint(bytes));
    EXPECT_EQ(std::ranges::count(seen, seen.back()), 1) << algorithm.rollout_correction << algorithm.old_policy;
  }
}

TEST(RolloutCorrection, OfThePolicyThatLearnsChangesNoBit) {
  for (const char* loss_type : {"dapo", "gspo", "reinforce"}) {
    std::vector<std::byte> expected;
    for (const char* mode : {"none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask"}) {
      TinyRun run(DType::bf16);
      run.config.algorithm = {.loss_type = loss_type, .rollout_correction = mode};
      for (int64_t step = 1; step <= 2; ++step) run.update(run.sample(static_cast<uint32_t>(step), kMixed), step);
      if (expected.empty()) expected = run.weights();
      EXPECT_EQ(run.weights(), expected) << loss_type << " " << mode;
    }
  }
}

}  // namespace
}  // namespace cohort
