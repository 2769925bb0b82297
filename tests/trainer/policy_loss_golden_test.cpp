// The losses of GRPO's relatives, their gradients and the advantages of whole steps equal the published formulas in double precision
// (tests/golden/loss; made by scripts/oracles/policy_losses.py and step_advantages.py, where TRL has them by its own code).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/trainer/loss_goldens.h"
#include "trainer/advantage.h"
#include "trainer/config_schema.h"
#include "trainer/entropy.h"
#include "trainer/loss.h"

namespace cohort {
namespace {

// The section with these keys set, as the config table places them.
AlgorithmSection section_of(const Json& keys) {
  Config config;
  for (const auto& [name, value] : keys.items()) {
    const KeyRow* row = find_key("algorithm", name);
    EXPECT_NE(row, nullptr) << name;
    std::visit(
        [&](auto* place) {
          if constexpr (requires { value.get_to(*place); }) value.get_to(*place);
        },
        row->value(config));
  }
  return config.algorithm;
}

struct Token {
  size_t sequence, position;
  TokenInput input;
};

// One batch under one setting, computed as the update does it.
class Batch {
 public:
  Batch(const Json& batch, const AlgorithmSection& keys) : config_(make_loss_config(keys)) {
    n_.max_completion_length = batch["max_completion_length"];
    std::vector<float> entropies;
    for (const Json& sequence : batch["sequences"]) {
      n_.sequences += 1;
      if (sequence["masked"].get<bool>()) continue;
      n_.tokens += static_cast<int64_t>(sequence["logprobs"].size());
      for (const Json& entropy : sequence["entropies"]) entropies.push_back(entropy.get<float>());
    }
    const double threshold = keys.top_entropy_quantile < 1 ? entropy_threshold(entropies, keys.top_entropy_quantile) : -1;
    double active = 0, active_entropy = 0;
    for (const float entropy : entropies)
      if (static_cast<double>(entropy) >= threshold) active += 1, active_entropy += static_cast<double>(entropy);
    const double bonus = EntropyBonus(keys).applied(keys);
    for (const Json& sequence : batch["sequences"]) {
      dlogprobs.emplace_back(sequence["logprobs"].size());
      dentropies.emplace_back(sequence["logprobs"].size());
      if (sequence["masked"].get<bool>()) continue;
      std::vector<TokenInput> tokens;
      for (size_t t = 0; t < sequence["logprobs"].size(); ++t) {
        const bool is_active = sequence["entropies"][t].get<double>() >= threshold;
        tokens.push_back({sequence["logprobs"][t], sequence["old_logprobs"][t], sequence["ref_logprobs"][t], sequence["advantage"],
                          is_active ? 1.0f : 0.0f});
        if (is_active) dentropies.back()[t] = -bonus / active;
      }
      add(tokens);
    }
    loss -= bonus * active_entropy / active;
  }

  double loss = 0, loss_size = 0, kl = 0, low = 0, high = 0, weight = 0;  // loss_size: of what the loss is added up from
  std::vector<std::vector<double>> dlogprobs, dentropies;

 private:
  void add(const std::vector<TokenInput>& tokens) {
    const SequenceTerm sequence = config_.sequence_level ? sequence_term(tokens, config_) : SequenceTerm{};
    weight = token_weight(config_, n_, static_cast<int64_t>(tokens.size()));
    for (size_t t = 0; t < tokens.size(); ++t) {
      const TokenLoss token = token_loss(tokens[t], config_, config_.sequence_level ? &sequence : nullptr);
      loss += weight * static_cast<double>(token.loss);
      loss_size += weight * std::abs(static_cast<double>(token.loss));
      dlogprobs.back()[t] = weight * static_cast<double>(token.dlogprob);
      const auto all = static_cast<double>(n_.tokens);
      kl += static_cast<double>(token.kl) / all, low += token.clipped_low / all, high += token.clipped_high / all;
    }
  }

  LossConfig config_;
  Normalisers n_;
};

// Inputs and results are float32: what a number may be off is a part of its size and of what it is made of.
void expect_near(double value, double expected, double scale, const std::string& where) {
  EXPECT_NEAR(value, expected, 1e-6 * (std::abs(expected) + scale)) << where;
}

TEST(PolicyLossGolden, LossGradientAndMetricsEqualTheFormulas) {
  int checked = 0, by_trl = 0;
  std::set<std::string> losses;
  for (const Json& batch : golden("policy_losses.jsonl")) {
    for (const Json& expected : batch["expected"]) {
      const AlgorithmSection keys = section_of(expected["keys"]);
      const std::string where = batch["name"].get<std::string>() + " " + dump_json(expected["keys"]);
      const Batch mine(batch, keys);
      losses.insert(keys.loss_type);
      by_trl += expected["trl"].get<bool>();
      expect_near(mine.loss, expected["loss"], 0.1 * mine.loss_size, where);
      expect_near(mine.kl, expected["kl"], 1e-3, where);
      EXPECT_NEAR(mine.low, expected["clip_low"].get<double>(), 1e-7) << where;
      EXPECT_NEAR(mine.high, expected["clip_high"].get<double>(), 1e-7) << where;
      for (size_t s = 0; s < batch["sequences"].size(); ++s) {
        const double advantage = std::abs(batch["sequences"][s]["advantage"].get<double>());
        for (size_t t = 0; t < mine.dlogprobs[s].size(); ++t) {
          const std::string token = fmt::format("{} {},{}", where, s, t);
          // Where terms cancel (policy against KL) the parts set the size of the rounding.
          expect_near(mine.dlogprobs[s][t], expected["dlogprobs"][s][t], mine.weight * 0.02 * (advantage + static_cast<double>(keys.beta)), token);
          if (!expected["dentropies"].empty()) expect_near(mine.dentropies[s][t], expected["dentropies"][s][t], 0, token);
          ++checked;
        }
      }
    }
  }
  EXPECT_GT(checked, 8000);
  EXPECT_GT(by_trl, 150);
  EXPECT_EQ(losses, (std::set<std::string>{"bnpo", "cispo", "dapo", "dr_grpo", "grpo", "gspo", "reinforce", "sapo"}));
}

StepRewards rewards_of(const Json& step, bool penalized) {
  StepRewards rewards{.group_size = step["num_generations"]};
  for (const Json& weight : step["weights"]) rewards.weights.push_back(weight);
  for (const Json& row : step["scores"]) {
    std::vector<std::optional<double>>& scores = rewards.scores.emplace_back();
    std::optional<double> total;
    for (size_t r = 0; r < row.size(); ++r) {
      scores.push_back(row[r].is_null() ? std::nullopt : std::optional(row[r].get<double>()));
      if (scores[r]) total = total.value_or(0) + rewards.weights[r] * *scores[r];
    }
    rewards.totals.push_back(total);
  }
  for (const Json& tokens : step["tokens"]) rewards.tokens.push_back(tokens);
  if (penalized)
    for (const Json& row : step["penalties"]) rewards.penalties.push_back(row.get<std::vector<double>>());
  return rewards;
}

TEST(StepAdvantageGolden, EqualTrlAndTheFormulas) {
  int checked = 0;
  for (const Json& step : golden("step_advantages.jsonl")) {
    for (const Json& expected : step["expected"]) {
      const std::string where = fmt::format("{} {} {}", dump_json(step["name"]), dump_json(expected["keys"]), dump_json(expected["penalized"]));
      const StepAdvantages mine =
          step_advantages(rewards_of(step, expected["penalized"]), make_advantage_config(section_of(expected["keys"])));
      for (size_t i = 0; i < mine.of.size(); ++i, ++checked)
        EXPECT_NEAR(static_cast<double>(mine.of[i]), expected["advantages"][i].get<double>(), 1e-7 + 2e-7 * std::abs(expected["advantages"][i].get<double>()))
            << where << " " << i;
      ASSERT_EQ(mine.of_tokens.size(), expected["token_advantages"].size()) << where;
      for (size_t i = 0; i < mine.of_tokens.size(); ++i)
        for (size_t t = 0; t < mine.of_tokens[i].size(); ++t)
          EXPECT_NEAR(static_cast<double>(mine.of_tokens[i][t]), expected["token_advantages"][i][t].get<double>(), 1e-6) << where << " " << i << "," << t;
    }
  }
  EXPECT_GT(checked, 1000);
}

}  // namespace
}  // namespace cohort
