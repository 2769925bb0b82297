// On-policy distillation: the advantages are the formula's, their mean gradient is that of the reverse KL over the whole vocabulary.
// Whole runs: tests/cli/distillation_test.cpp.
#include "trainer/distillation.h"

#include <cmath>

#include "tests/core/expect_error.h"
#include "tests/trainer/loss_goldens.h"
#include "tests/trainer/model_folder.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/group_advantages.h"

namespace cohort {
namespace {

TEST(Distillation, LossAndGradientEqualTheFormulas) {
  int checked = 0;
  for (const Json& batch : golden("distillation.jsonl")) {
    Normalisers n{.max_completion_length = batch["max_completion_length"]};
    std::vector<Group> groups(1);
    std::vector<std::vector<std::vector<float>>> teacher(1);
    for (const Json& sequence : batch["sequences"]) {
      const auto recorded = sequence["old_logprobs"].get<std::vector<float>>();
      n.sequences += 1, n.tokens += std::ssize(recorded);
      groups[0].rollouts.push_back({.tokens = std::vector<int32_t>(recorded.size(), 5), .logprobs = recorded});
      groups[0].advantages.push_back(sequence["advantage"]);
      teacher[0].push_back(sequence["teacher_logprobs"]);
    }
    for (const Json& expected : batch["expected"]) {
      AlgorithmSection a;
      a.loss_type = expected["keys"].value("loss_type", a.loss_type);
      a.epsilon_high = expected["keys"].value("epsilon_high", a.epsilon_high);
      a.teacher_coef = expected["keys"].value("teacher_coef", a.teacher_coef);
      std::vector<Group> taught = groups;
      EXPECT_NEAR(add_teacher_advantages(taught, teacher, a), expected["reverse_kl"].get<double>(), 1e-6);
      EXPECT_TRUE(taught[0].has_signal);
      const LossConfig config = make_loss_config(a);
      double loss = 0, size = 0;
      for (size_t s = 0; s < batch["sequences"].size(); ++s) {
        const Json& sequence = batch["sequences"][s];
        std::vector<TokenInput> tokens;
        for (size_t t = 0; t < sequence["logprobs"].size(); ++t)
          tokens.push_back({sequence["logprobs"][t], sequence["old_logprobs"][t], 0, taught[0].token_advantages[s][t]});
        const SequenceTerm term = config.sequence_level ? sequence_term(tokens, config) : SequenceTerm{};
        const double factor = token_weight(config, n, std::ssize(tokens));
        for (size_t t = 0; t < tokens.size(); ++t, ++checked) {
          const TokenLoss token = token_loss(tokens[t], config, config.sequence_level ? &term : nullptr);
          const double wanted = expected["dlogprobs"][s][t];
          loss += factor * static_cast<double>(token.loss), size += factor * std::abs(static_cast<double>(token.loss));
          EXPECT_NEAR(factor * static_cast<double>(token.dlogprob), wanted, 1e-6 * (std::abs(wanted) + factor)) << dump_json(expected["keys"]);
        }
      }
      EXPECT_NEAR(loss, expected["loss"].get<double>(), 1e-6 * (std::abs(loss) + size)) << dump_json(expected["keys"]);
    }
  }
  EXPECT_GT(checked, 100);
}

// A policy and a teacher of nine tokens: the mean over what the policy may sample is minus the derivative of KL(pi || pi_T) by each logit.
TEST(Distillation, TheMeanGradientIsThatOfTheReverseKl) {
  Random random(9, Stream::kTest);
  std::vector<double> policy(9), teacher(9);
  for (std::vector<double>* logprobs : {&policy, &teacher}) {
    double sum = 0;
    for (double& x : *logprobs) sum += std::exp(x = 2 * static_cast<double>(random.normal()));
    for (double& x : *logprobs) x -= std::log(sum);
  }
  double kl = 0;
  for (size_t y = 0; y < policy.size(); ++y) kl += std::exp(policy[y]) * (policy[y] - teacher[y]);
  const AlgorithmSection algorithm{.loss_type = "reinforce", .teacher_coef = 0.5f};
  for (size_t j = 0; j < policy.size(); ++j) {
    double mean = 0;
    for (size_t y = 0; y < policy.size(); ++y) {
      std::vector<Group> group(1);
      group[0].rollouts = {{.tokens = {static_cast<int32_t>(y)}, .logprobs = {static_cast<float>(policy[y])}}};
      group[0].advantages = {0};
      add_teacher_advantages(group, std::vector<std::vector<std::vector<float>>>{{{static_cast<float>(teacher[y])}}}, algorithm);
      const TokenLoss token = token_loss({static_cast<float>(policy[y]), static_cast<float>(policy[y]), 0, group[0].token_advantages[0][0]}, make_loss_config(algorithm));
      mean += std::exp(policy[y]) * static_cast<double>(token.dlogprob) * ((y == j ? 1 : 0) - std::exp(policy[j]));
    }
    EXPECT_NEAR(mean, 0.5 * std::exp(policy[j]) * (policy[j] - teacher[j] - kl), 1e-6);
  }
}

TEST(Distillation, TheTeachersPartComesToThoseOfTheRewards) {
  std::vector<Group> groups(1);
  groups[0].rollouts = {{.tokens = {1, 2}, .logprobs = {-1, -2}}, {.tokens = {3}, .logprobs = {-1}}};
  groups[0].advantages = {0.5f, -0.5f};
  groups[0].selected = {true, false};
  const std::vector<std::vector<std::vector<float>>> teacher = {{{-1, -1}, {-3}}};
  EXPECT_EQ(add_teacher_advantages(groups, teacher, {.teacher_coef = 2}), 1.0 / 3);
  EXPECT_EQ(groups[0].token_advantages, (std::vector<std::vector<float>>{{0.5f, 2.5f}, {-4.5f}}));
  // A group without a signal of its own has the teacher's, if that differs.
  groups[0].advantages = {0, 0}, groups[0].token_advantages.clear(), groups[0].has_signal = false;
  add_teacher_advantages(groups, std::vector<std::vector<std::vector<float>>>{{{-1, -2}, {-3}}}, {});
  EXPECT_FALSE(groups[0].has_signal) << "what is not selected teaches nothing";
}

// Completions that the loss does not see have no advantages of tokens: REINFORCE++ with the KL in the reward and masked completions.
TEST(Distillation, CompletionsWithoutTokenAdvantagesAreNoFault) {
  std::vector<Group> groups(1);
  groups[0].rollouts = {{.tokens = {1, 2}, .logprobs = {-1, -2}}, {.tokens = {3}, .logprobs = {-1}}};
  groups[0].advantages = {0.5f, 0};
  groups[0].token_advantages = {{0.25f, 0.75f}, {}};
  add_teacher_advantages(groups, std::vector<std::vector<std::vector<float>>>{{{-1, -1}, {-3}}}, {.teacher_coef = 2});
  EXPECT_EQ(groups[0].token_advantages, (std::vector<std::vector<float>>{{0.25f, 2.75f}, {-4}}));
  groups[0].token_advantages = {{0.25f}, {}};  // of another length: never written past its end
  EXPECT_ERROR(add_teacher_advantages(groups, std::vector<std::vector<std::vector<float>>>{{{-1, -1}, {-3}}}, {}), kInternal, "2 tokens and 1 advantages");
}

}  // namespace
}  // namespace cohort
