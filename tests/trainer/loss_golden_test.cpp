// Loss, advantages and learning rates equal TRL's and transformers', whose values are in tests/golden/loss (how they were made:
// scripts/oracles).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/loss_goldens.h"
#include "trainer/advantage.h"
#include "trainer/loss.h"

namespace cohort {
namespace {

TEST(LossGolden, LossAndGradientEqualTrl) {
  int checked = 0;
  for (const Json& batch : golden("grpo_loss.jsonl")) {
    Normalisers n{.max_completion_length = batch["max_completion_length"]};
    for (const Json& sequence : batch["sequences"]) {
      n.sequences += 1;
      if (!sequence["masked"].get<bool>()) n.tokens += static_cast<int64_t>(sequence["logprobs"].size());
    }
    for (const Json& expected : batch["expected"]) {
      AlgorithmSection keys{.loss_type = expected["loss_type"], .epsilon = expected["epsilon"], .epsilon_high = expected["epsilon_high"],
                            .beta = expected["beta"]};
      const LossConfig config = make_loss_config(keys);
      const std::string name = fmt::format("{} {} beta {}", batch["name"].get<std::string>(), keys.loss_type, config.beta);
      double loss = 0, kl = 0, low = 0, high = 0;
      for (size_t s = 0; s < batch["sequences"].size(); ++s) {
        const Json& sequence = batch["sequences"][s];
        const auto length = static_cast<int64_t>(sequence["logprobs"].size());
        for (size_t t = 0; t < sequence["logprobs"].size(); ++t) {
          const double derivative = expected["dlogprobs"][s][t];
          if (sequence["masked"].get<bool>()) {
            EXPECT_EQ(derivative, 0) << name;
            continue;
          }
          const TokenLoss token = token_loss({.logprob = sequence["logprobs"][t], .old_logprob = sequence["old_logprobs"][t],
                                              .ref_logprob = sequence["ref_logprobs"][t], .advantage = sequence["advantage"]}, config);
          const double weight = token_weight(config, n, length);
          loss += weight * static_cast<double>(token.loss);
          kl += static_cast<double>(token.kl), low += token.clipped_low, high += token.clipped_high;
          // inputs and results are float32
          const double size = std::abs(derivative) + weight * (std::abs(sequence["advantage"].get<double>()) + 1e-3);
          EXPECT_NEAR(weight * static_cast<double>(token.dlogprob), derivative, 1e-6 * size) << name << " " << s << "," << t;
          ++checked;
        }
      }
      const auto tokens = static_cast<double>(n.tokens);
      EXPECT_NEAR(loss, expected["loss"].get<double>(), 1e-6 * (1 + std::abs(expected["loss"].get<double>()))) << name;
      if (config.beta > 0) {
        EXPECT_NEAR(kl / tokens, expected["kl"].get<double>(), 1e-6 * (1e-2 + expected["kl"].get<double>())) << name;
      }
      EXPECT_NEAR(low / tokens, expected["clip_low"].get<double>(), 1e-7) << name;
      EXPECT_NEAR(high / tokens, expected["clip_high"].get<double>(), 1e-7) << name;
    }
  }
  EXPECT_GT(checked, 1000);
}

TEST(AdvantageGolden, EqualTrl) {
  int checked = 0;
  for (const Json& step : golden("advantages.jsonl")) {
    const size_t size = step["num_generations"];
    for (const auto scale : {ScaleRewards::group, ScaleRewards::none}) {
      const Json& expected = step["advantages"][scale == ScaleRewards::group ? "group" : "none"];
      for (size_t g = 0; g * size < step["totals"].size(); ++g) {
        std::vector<std::optional<double>> totals;
        for (size_t i = 0; i < size; ++i) {
          const Json& total = step["totals"][g * size + i];
          totals.push_back(total.is_null() ? std::nullopt : std::optional(total.get<double>()));
        }
        const StepAdvantages found = step_advantages({.group_size = size, .totals = totals}, {.scale = scale});
        EXPECT_EQ(found.constant[0], step["constant"][g].get<bool>()) << step["name"];
        for (size_t i = 0; i < size; ++i) {
          const double value = expected[g * size + i];
          EXPECT_NEAR(static_cast<double>(found.of[i]), value, 1e-7 + 2e-7 * std::abs(value)) << step["name"];
          ++checked;
        }
      }
    }
  }
  EXPECT_GT(checked, 100);
}

TEST(ScheduleGolden, EqualsTransformers) {
  int checked = 0;
  for (const Json& row : golden("schedules.jsonl")) {
    OptimSection optim;
    optim.learning_rate = row["learning_rate"];
    optim.lr_scheduler_type = row["lr_scheduler_type"];
    optim.warmup_ratio = row["warmup_ratio"];
    const int64_t total = row["total"];
    for (int64_t i = 0; i < total; ++i) {
      const double expected = row["rates"][static_cast<size_t>(i)];
      EXPECT_NEAR(learning_rate_at(optim, i, total), expected, 1e-6 * (expected + 1e-8))
          << dump_json(row["lr_scheduler_type"]) << " " << dump_json(row["warmup_ratio"]) << " step " << i << " of " << total;
      ++checked;
    }
  }
  EXPECT_GT(checked, 500);
}

}  // namespace
}  // namespace cohort
