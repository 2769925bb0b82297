// Which tokens count by their entropy, and how an adaptive bonus moves.
#include "trainer/entropy.h"

#include <gtest/gtest.h>

#include "tests/core/expect_error.h"

namespace cohort {
namespace {

TEST(Quantile, InterpolatesAsTorch) {
  const std::vector<float> values = {3, 1, 2, 5, 4};
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 1), 5);
  EXPECT_EQ(quantile(values, 0.5), 3);
  EXPECT_DOUBLE_EQ(quantile(values, 0.8), 4.2);
  EXPECT_DOUBLE_EQ(quantile(values, 0.1), 1.4);
  EXPECT_EQ(quantile({7}, 0.3), 7);
  EXPECT_EQ(quantile({2, 2, 2}, 0.4), 2);
  std::vector<float> eleven;
  for (int i = 0; i < 11; ++i) eleven.push_back(static_cast<float>(i));
  EXPECT_EQ(entropy_threshold(eleven, 0.7), 3);  // although (1 - 0.7) * 10 is a little more in binary
  EXPECT_EQ(entropy_threshold(eleven, 0.2), 8);
  EXPECT_ERROR(quantile({}, 0.5), kInternal, "of 0 values");
}

TEST(EntropyBonus, AFixedOneIsAlwaysApplied) {
  const AlgorithmSection a{.entropy_coef = 0.25f};
  EntropyBonus bonus(a);
  EXPECT_EQ(bonus.applied(a), 0.25);
  bonus.observe(a, 5);
  EXPECT_EQ(bonus.applied(a), 0.25);
  EXPECT_TRUE(has_entropy_bonus(a));
  EXPECT_FALSE(has_entropy_bonus({}));
}

// As TRL's controller: nothing in the first step, then on while the entropy seen last is at most the target.
TEST(EntropyBonus, AnAdaptiveOneFollowsTheEntropy) {
  const AlgorithmSection a{.entropy_coef = 0.5f, .use_adaptive_entropy = true, .entropy_target = 1, .entropy_coef_delta = 0.25f,
                           .entropy_coef_min = 0.25f, .entropy_coef_max = 1};
  EntropyBonus bonus(a);
  EXPECT_EQ(bonus.applied(a), 0);
  struct { double entropy, coefficient, applied; } const steps[] = {{0.5, 0.75, 0.75}, {1, 1, 1}, {0.2, 1, 1}, {2, 0.75, 0}, {3, 0.5, 0}, {3, 0.25, 0}, {3, 0.25, 0}, {0.9, 0.5, 0.5}};
  for (const auto& step : steps) {
    bonus.observe(a, step.entropy);
    EXPECT_EQ(bonus.coefficient, step.coefficient);
    EXPECT_EQ(bonus.applied(a), step.applied);
  }
}

}  // namespace
}  // namespace cohort
