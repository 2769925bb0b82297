// The answers that rewards take from completions, for votes over several.
#include <gtest/gtest.h>

#include "reward/reward.h"

namespace cohort {
namespace {

struct Answers {
  explicit Answers(const char* name, Json options = Json::object()) : reward(make_reward({name, 1.0, std::move(options)})) {}
  std::optional<std::string> operator()(const char* completion) const { return reward->answer(completion); }
  bool same(const char* a, const char* b) const {
    const auto left = reward->answer(a), right = reward->answer(b);
    return left && right && reward->same_answer(*left, *right);
  }
  std::unique_ptr<Reward> reward;
};

TEST(Answers, OfExactAreTheTrimmedTexts) {
  const Answers exact("exact");
  EXPECT_TRUE(exact.reward->takes_answers());
  EXPECT_TRUE(exact.same(" cat\n", "cat"));
  EXPECT_FALSE(exact.same("cat", "Cat"));
}

TEST(Answers, OfLastNumberAreValues) {
  const Answers number("last_number");
  EXPECT_TRUE(number.reward->takes_answers());
  EXPECT_TRUE(number.same("so it is 1,234.50", "= 1234.5"));
  EXPECT_TRUE(number.same("0", "-0.00"));
  EXPECT_FALSE(number.same("5", "-5"));
  EXPECT_FALSE(number.same("5", "50"));
  EXPECT_FALSE(number.same("0.5", "0.05"));
  EXPECT_EQ(number("no idea"), std::nullopt);
}

TEST(Answers, OfMathAreComparedByItsRules) {
  const Answers math("math");
  EXPECT_TRUE(math.reward->takes_answers());
  EXPECT_TRUE(math.same("\\boxed{\\frac{1}{2}}", "The answer is 0.5"));
  EXPECT_TRUE(math.same("\\boxed{x + 1}", "\\boxed{1+x}"));
  EXPECT_FALSE(math.same("\\boxed{2}", "\\boxed{3}"));
  EXPECT_TRUE(math.same("\\boxed{((}", "\\boxed{((}")) << "what cannot be read is the same text";
  EXPECT_EQ(math(""), std::nullopt);
}

TEST(Answers, OfReasoningGymStandInItsTags) {
  const Answers gym("reasoning_gym");
  EXPECT_TRUE(gym.reward->takes_answers());
  EXPECT_TRUE(gym.same("<answer> 42 </answer>", "hm <answer>42</answer>"));
  EXPECT_EQ(gym("<answer> </answer>"), std::nullopt);
}

TEST(Answers, ThereAreNoneOfOtherRewards) {
  EXPECT_FALSE(make_reward({"format", 1.0, Json::object()})->takes_answers());
  EXPECT_EQ(make_reward({"format", 1.0, Json::object()})->answer("<answer>4</answer>"), std::nullopt);
}

}  // namespace
}  // namespace cohort
