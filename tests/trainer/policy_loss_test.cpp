// What losses are to each other, and where they bend. That they equal the formulas: policy_loss_golden_test.cpp.
#include "trainer/policy_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/rng.h"
#include "tests/core/expect_error.h"
#include "trainer/kl.h"
#include "trainer/loss.h"

namespace cohort {
namespace {

LossConfig config_of(AlgorithmSection a) { return make_loss_config(a); }

std::vector<TokenInput> random_tokens(Random& random, int64_t count, float drift) {
  std::vector<TokenInput> tokens;
  const float advantage = random.normal();
  for (int64_t t = 0; t < count; ++t) {
    const float old = -std::abs(random.normal());
    tokens.push_back({old + drift * random.normal(), old, old + drift * random.normal(), advantage});
  }
  return tokens;
}

// Sum over a sequence's tokens, in double, as a function of its log-probs.
double sequence_loss(const std::vector<TokenInput>& tokens, const LossConfig& config) {
  double ratio_log = 0, loss = 0;
  for (const TokenInput& t : tokens) ratio_log += (static_cast<double>(t.logprob) - static_cast<double>(t.old_logprob)) / static_cast<double>(tokens.size());
  for (const TokenInput& t : tokens) {
    const double ratio = std::exp(config.sequence_level ? ratio_log : static_cast<double>(t.logprob) - static_cast<double>(t.old_logprob));
    const double k = kl_term(config.kl_estimator, t.logprob, t.ref_logprob).value;
    loss += static_cast<double>(t.weight) * policy_term(ratio, static_cast<double>(t.logprob), static_cast<double>(t.advantage), config.policy).loss +
            static_cast<double>(config.beta) * (config.bias_corrected_kl ? ratio : 1) * k;
  }
  return loss;
}

TEST(PolicyLoss, DerivativesPassAFiniteDifferenceCheck) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  Random random(seed, Stream::kTest);
  for (const char* loss_type : {"grpo", "gspo", "sapo"}) {
    for (const bool sequence : {false, true}) {
      for (const bool corrected : {false, true}) {
        for (const char* estimator : {"k1", "k2", "k3"}) {
          if (!sequence && std::string(loss_type) == "gspo") continue;
          AlgorithmSection a{.loss_type = loss_type, .importance_sampling_level = sequence ? "sequence" : "auto", .epsilon = 50, .beta = 0.5f,
                             .kl_estimator = estimator, .use_bias_correction_kl = corrected};
          const LossConfig config = config_of(a);
          std::vector<TokenInput> tokens = random_tokens(random, 5, 0.2f);
          tokens[2].weight = 0, tokens[3].weight = 0.5f;
          const SequenceTerm term = sequence_term(tokens, config);
          for (TokenInput& token : tokens) {
            const double derivative = static_cast<double>(token_loss(token, config, config.sequence_level ? &term : nullptr).dlogprob);
            const float at = token.logprob, step = 0x1p-8f;
            token.logprob = at + step;
            const double up = sequence_loss(tokens, config);
            token.logprob = at - step;
            const double down = sequence_loss(tokens, config);
            token.logprob = at;
            EXPECT_NEAR(derivative, (up - down) / (2 * static_cast<double>(step)), 1e-3) << loss_type << " " << sequence << corrected << estimator;
          }
        }
      }
    }
  }
}

TEST(PolicyLoss, OnPolicyGradientsAreEqualBits) {
  for (const float advantage : {1.5f, -0.75f, 0.0f, 1e-8f}) {
    const TokenInput token{-0.3f, -0.3f, -0.5f, advantage};
    const float expected = token_loss(token, config_of({.loss_type = "grpo"})).dlogprob;
    EXPECT_EQ(expected, -advantage);
    for (const char* loss_type : {"bnpo", "dapo", "dr_grpo", "reinforce"})
      EXPECT_EQ(token_loss(token, config_of({.loss_type = loss_type})).dlogprob, expected) << loss_type;
    EXPECT_EQ(token_loss(token, config_of({.loss_type = "cispo", .epsilon_high = 5})).dlogprob, expected);
    const LossConfig sapo = config_of({.loss_type = "sapo"}), gspo = config_of({.loss_type = "gspo"});
    EXPECT_EQ(token_loss(token, sapo).dlogprob, expected);
    const SequenceTerm term = sequence_term(std::vector<TokenInput>{token, token, token}, gspo);
    EXPECT_EQ(token_loss(token, gspo, &term).dlogprob, expected);
  }
}

TEST(PolicyLoss, GspoOfOneTokenIsGrpoBitForBit) {
  Random random(5, Stream::kTest);
  for (const float beta : {0.0f, 0.1f})
    for (const bool corrected : {false, true})
      for (int i = 0; i < 100; ++i) {
        const std::vector<TokenInput> token = random_tokens(random, 1, 1.0f);
        AlgorithmSection a{.loss_type = "gspo", .beta = beta, .use_bias_correction_kl = corrected};
        const LossConfig gspo = config_of(a);
        a.loss_type = "grpo";
        const SequenceTerm term = sequence_term(token, gspo);
        const TokenLoss one = token_loss(token[0], gspo, &term), other = token_loss(token[0], config_of(a));
        EXPECT_EQ(one.loss, other.loss);
        EXPECT_EQ(one.dlogprob, other.dlogprob);
        EXPECT_EQ(one.ratio, other.ratio);
      }
}

TEST(PolicyLoss, ClipsBendWhereTheySay) {
  PolicyLossConfig c{.epsilon_low = 0.25f, .epsilon_high = 0.5f};
  EXPECT_EQ(policy_term(2, 0, 1, c).loss, -1.5);
  EXPECT_EQ(policy_term(2, 0, 1, c).dlogratio, 0);
  EXPECT_TRUE(policy_term(2, 0, 1, c).clipped_high);
  EXPECT_EQ(policy_term(0.5, 0, -1, c).loss, 0.75);
  EXPECT_EQ(policy_term(0.5, 0, -1, c).dlogratio, 0);
  EXPECT_EQ(policy_term(9, 0, -1, c).loss, 9);  // unbounded on this side
  EXPECT_EQ(policy_term(9, 0, -1, c).dlogratio, 9);
  for (const bool dual : {false, true}) {  // two spellings of the same bound
    PolicyLossConfig bounded = c;
    (dual ? bounded.clip_ratio_c : bounded.delta) = 4;
    EXPECT_EQ(policy_term(9, 0, -1, bounded).loss, 4);
    EXPECT_EQ(policy_term(9, 0, -1, bounded).dlogratio, 0);
    EXPECT_EQ(policy_term(3, 0, -1, bounded).dlogratio, 3);
    EXPECT_EQ(policy_term(9, 0, 1, bounded).loss, -1.5);
    EXPECT_EQ(policy_term(0.5, 0, -1, bounded).loss, 0.75);
  }
  const PolicyLossConfig cispo{.kind = PolicyLoss::cispo, .epsilon_high = 5};
  EXPECT_EQ(policy_term(9, -2, 1, cispo).dlogprob, -5);  // never without a gradient
  EXPECT_EQ(policy_term(9, -2, 1, cispo).loss, 10);
  EXPECT_TRUE(policy_term(9, -2, 1, cispo).clipped_high);
  EXPECT_EQ(policy_term(0.01, -2, -1, cispo).dlogprob, 0.01);
}

TEST(Kl, EstimatorsAreZeroAtTheReferenceAndBounded) {
  for (const KlEstimator e : {KlEstimator::k1, KlEstimator::k2, KlEstimator::k3}) {
    EXPECT_EQ(kl_term(e, -1.5f, -1.5f).value, 0);
    const KlTerm inside = kl_term(e, -1.5f, -1.0f, 1, 10), beyond = kl_term(e, -1.5f, 2.5f, 1, 10);
    EXPECT_EQ(inside.value, kl_term(e, -1.5f, -1.0f).value);
    EXPECT_EQ(inside.derivative, kl_term(e, -1.5f, -1.0f).derivative);
    EXPECT_EQ(beyond.value, kl_term(e, -1.5f, -0.5f).value);  // d is 1 at most
    EXPECT_EQ(beyond.derivative, 0);
    EXPECT_EQ(std::abs(kl_term(e, -9, 0, 0, 0.5).value), 0.5);
    EXPECT_EQ(kl_term(e, -9, 0, 0, 0.5).derivative, 0);
  }
  EXPECT_EQ(kl_term(KlEstimator::k2, -1, -1).derivative, 0);
  EXPECT_EQ(kl_term(KlEstimator::k3, -1, -1).derivative, 0);
  EXPECT_EQ(kl_term(KlEstimator::k1, -1, -1).derivative, 1);  // it does not know the reference
  EXPECT_ERROR(kl_estimator_named("k4"), kUsage, "unknown kl_estimator 'k4'; allowed: k1, k2, k3");
}

TEST(TokenWeight, FollowsTheAggregation) {
  const Normalisers n{.sequences = 4, .tokens = 20, .max_completion_length = 16};
  const auto weight = [&](const char* loss_type, const char* mode = "auto") {
    return token_weight(config_of({.loss_type = loss_type, .loss_agg_mode = mode, .epsilon_high = 5}), n, 8);
  };
  for (const char* loss_type : {"grpo", "gspo", "sapo"}) EXPECT_EQ(weight(loss_type), 1.0 / 32);
  for (const char* loss_type : {"dapo", "bnpo", "cispo", "reinforce"}) EXPECT_EQ(weight(loss_type), 1.0 / 20);
  EXPECT_EQ(weight("dr_grpo"), 1.0 / 64);
  EXPECT_EQ(weight("grpo", "seq-mean-token-sum"), 1.0 / 4);
  EXPECT_EQ(weight("dapo", "seq-mean-token-sum-norm"), 1.0 / 64);
  EXPECT_EQ(weight("dr_grpo", "token-mean"), 1.0 / 20);
  EXPECT_EQ(weight("dr_grpo", "seq-mean-token-mean"), 1.0 / 32);
  EXPECT_ERROR(token_weight(config_of({}), {}, 3), kInternal, "empty batch");
}

TEST(TokenLoss, SequenceLevelNeedsItsSequence) {
  EXPECT_ERROR(token_loss({}, config_of({.loss_type = "gspo"})), kInternal, "without its sequence's ratio");
  EXPECT_ERROR(sequence_term({}, config_of({.loss_type = "gspo"})), kInternal, "without tokens");
}

}  // namespace
}  // namespace cohort
