// The rewards of format and shape: length, soft_overlong, cosine_length, repetition, keywords, and format's options.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "tests/reward/shape_fixture.h"

namespace cohort {
namespace {

TEST(Length, CountsTokensWordsOrCharacters) {
  const Json two_to_three = {{"min_length", 2}, {"max_length", 3}};
  EXPECT_EQ(score("length", two_to_three, "x", {1}), 0.0);
  EXPECT_EQ(score("length", two_to_three, "x", {1, 2}), 1.0);
  EXPECT_EQ(score("length", two_to_three, "x", {1, 2, 3}), 1.0);
  EXPECT_EQ(score("length", two_to_three, "x", {1, 2, 3, 4}), 0.0);
  EXPECT_EQ(score("length", two_to_three, "x"), std::nullopt) << "no tokens are known";
  EXPECT_EQ(score("length", {{"min_length", 0}, {"max_length", 0}}, ""), 1.0);
  const auto words = [](const char* text, int n) {
    return score("length", {{"min_length", n}, {"max_length", n}, {"unit", "words"}}, text);
  };
  EXPECT_EQ(words(" a  bc\nd ", 3), 1.0);
  EXPECT_EQ(words("", 0), 1.0);
  EXPECT_EQ(score("length", {{"max_length", 3}, {"unit", "characters"}}, "\u00E9\u4E2D\u00DF"), 1.0);
  EXPECT_EQ(score("length", {{"max_length", 2}, {"unit", "characters"}}, "\u00E9\u4E2D\u00DF"), 0.0);
  EXPECT_SAYS(refusal("length", {{"min_length", 5}, {"max_length", 4}}), "min_length 5 is more than max_length 4");
  EXPECT_SAYS(refusal("length", {{"min_length", -1}}), "'min_length' is -1; allowed is an integer at least 0");
  EXPECT_SAYS(refusal("length", {{"min_length", 1.5}}), "allowed is an integer");
  EXPECT_SAYS(refusal("length", {{"unit", "bytes"}}), "allowed are tokens, words, characters");
}

// Yu et al. 2025, equation 13, point by point.
TEST(SoftOverlong, IsTheEquation) {
  const Json options = {{"max_length", 100}, {"buffer", 20}};
  for (const auto& [length, expected] :
       std::vector<std::pair<int, double>>{{0, 0}, {80, 0}, {81, -0.05}, {90, -0.5}, {100, -1}, {101, -1}, {1000, -1}})
    EXPECT_EQ(score("soft_overlong", options, "x", std::vector<int32_t>(length, 7)),
              length == 0 ? std::nullopt : std::optional<double>(expected))
        << length;
  EXPECT_EQ(score("soft_overlong", {{"max_length", 4}, {"buffer", 0}, {"unit", "words"}}, "a b c d"), 0.0);
  EXPECT_EQ(score("soft_overlong", {{"max_length", 4}, {"buffer", 0}, {"unit", "words"}}, "a b c d e"), -1.0);
  EXPECT_SAYS(refusal("soft_overlong", {{"buffer", 5}}), "needs the option 'max_length'");
  EXPECT_SAYS(refusal("soft_overlong", {{"max_length", 5}}), "needs the option 'buffer'");
  EXPECT_SAYS(refusal("soft_overlong", {{"max_length", 5}, {"buffer", 6}}), "'buffer' is 6");
}

TEST(CosineLength, IsTheFormulaAndAsksAnotherReward) {
  const Json columns = {{"answer", "1/3"}};
  const auto at = [&](int length, const char* text, Json options = {{"max_length", 100}}) {
    return score("cosine_length", std::move(options), text, std::vector<int32_t>(length, 7), columns);
  };
  EXPECT_EQ(at(50, "\\boxed{\\frac{1}{3}}"), 0.75);  // as TRL's example
  EXPECT_EQ(at(50, "\\boxed{\\frac{1}{2}}"), -0.75);
  EXPECT_EQ(at(100, "\\boxed{\\frac{1}{3}}"), 0.5);
  EXPECT_EQ(at(300, "\\boxed{\\frac{1}{3}}"), 0.5);
  EXPECT_EQ(at(100, "no"), -0.5);
  EXPECT_DOUBLE_EQ(*at(25, "\\boxed{1/3}"), 0.5 + 0.25 * (1 + std::cos(std::numbers::pi / 4)));
  EXPECT_EQ(
      at(50, "1/3", {{"max_length", 100}, {"correct", "exact"}, {"max_value_correct", 3}, {"min_value_correct", 1}}),
      2.0);
  EXPECT_EQ(score("cosine_length", {{"max_length", 9}}, "1", {1}), std::nullopt) << "no gold";
  EXPECT_EQ(score("cosine_length", {{"max_length", 9}}, "1/3", {}, columns), std::nullopt) << "no tokens";
  EXPECT_SAYS(refusal("cosine_length", {{"max_length", 9}, {"correct", "format"}}),
              "allowed are math, last_number, exact");
  EXPECT_SAYS(refusal("cosine_length", {{"max_length", 9}, {"min_value_wrong", 0}, {"max_value_wrong", -1}}),
              "a minimum is more than its maximum");
  EXPECT_SAYS(refusal("cosine_length", {{"max_length", 9}, {"correct", "exact"}, {"mode", "strict"}}),
              "unknown option 'mode'");
}

TEST(Repetition, IsTheShareOfRepeatedNgrams) {
  EXPECT_EQ(score("repetition", {{"n", 2}}, "x", {1, 2, 3, 4}), 0.0);
  EXPECT_EQ(score("repetition", {{"n", 2}}, "x", {5, 5, 5, 5, 5}), -0.75);  // as TRL's example
  EXPECT_EQ(score("repetition", {{"n", 3}}, "x", {5, 5}), 0.0);
  EXPECT_EQ(score("repetition", {}, ""), 0.0);
  EXPECT_EQ(score("repetition", {}, "x"), std::nullopt);
  EXPECT_EQ(score("repetition", {{"n", 1}, {"unit", "words"}, {"max_penalty", -4}}, "a b a  b"), -2.0);
  EXPECT_SAYS(refusal("repetition", {{"max_penalty", 1}}), "'max_penalty' is 1; allowed is a number from");
  EXPECT_SAYS(refusal("repetition", {{"n", 0}}), "'n' is 0");
}

TEST(Keywords, RequiredShareAndForbidden) {
  EXPECT_EQ(score("keywords", {{"require", {"first", "then"}}}, "first this, then that"), 1.0);
  EXPECT_EQ(score("keywords", {{"require", {"first", "then"}}}, "First this, then that"), 0.5);
  EXPECT_EQ(score("keywords", {{"require", {"First", "then"}}, {"case", "insensitive"}}, "fIRST THEN"), 1.0);
  EXPECT_EQ(score("keywords", {{"require", {"a"}}, {"forbid", {"b"}}}, "a b"), 0.0);
  EXPECT_EQ(score("keywords", {{"forbid", {"b"}}}, "a"), 1.0);
  EXPECT_SAYS(refusal("keywords", Json::object()), "needs a list 'require' or 'forbid'");
  EXPECT_SAYS(refusal("keywords", {{"require", "a"}}), "'require' is \"a\"; allowed is a list of texts");
  EXPECT_SAYS(refusal("keywords", {{"require", {""}}}), "'require' is [\"\"]; allowed is a list of texts that are not empty");
}

TEST(Format, ThinkAloneAndShares) {
  EXPECT_EQ(score("format", {{"tags", "think"}}, "<think>a</think>b"), 1.0);
  EXPECT_EQ(score("format", {{"tags", "think"}}, "<think>a</think>"), 0.0);
  EXPECT_EQ(score("format", {{"tags", "think"}}, "x<think>a</think>b"), 0.0);
  EXPECT_EQ(score("format", {{"tags", "think"}}, "</think>a<think>b"), 0.0);
  EXPECT_EQ(score("format", {{"tags", "think"}}, "<think><think>a</think>b"), 0.0);
  EXPECT_EQ(score("format", {{"score", "share"}}, "<think>a</think><answer>b"), 0.75);
  EXPECT_EQ(score("format", {{"score", "share"}}, "<think>a</think></think>"), 0.25);
  EXPECT_EQ(score("format", {{"score", "share"}}, "b"), 0.0);
  EXPECT_EQ(score("format", {{"thinking", "some"}}, "<think> </think><answer>b</answer>"), 0.0);
  EXPECT_EQ(score("format", {{"thinking", "some"}}, "<think>a</think><answer>b</answer>"), 1.0);
  EXPECT_EQ(score("format", {{"tags", "think"}, {"thinking", "some"}}, "<think></think>b"), 0.0);
  EXPECT_EQ(score("format", {{"tags", "think"}, {"thinking", "some"}}, "<think>a</think>b"), 1.0);
  EXPECT_SAYS(refusal("format", {{"tags", "thinking"}}), "did you mean 'think'? allowed are think_answer, think");
}

// Work that grows faster than n log n would not end within the test's time limit.
TEST(ShapeRewards, HostileCompletionsEndSoon) {
  std::string text;
  while (text.size() < (1u << 20)) text += "a ";
  for (const char* name : {"length", "repetition"}) score(name, {{"unit", "words"}}, text);
  score("language", {{"script", "latin"}}, text);
  EXPECT_EQ(score("json", Json::object(), std::string(1 << 20, '[')), 0.0);
  EXPECT_EQ(score("keywords", {{"require", {"b"}}}, text), 0.0);
}

}  // namespace
}  // namespace cohort
