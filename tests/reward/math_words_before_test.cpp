// Answers in running text: what the words before the last number or formula make of it.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "reward/math/judge.h"

namespace cohort {
namespace {

std::optional<double> score_of(const std::string& completion, const std::string& gold) { return math::judge(completion, gold, {}).score; }

TEST(MathRunningText, WhatIsDeniedIsNoAnswer) {
  for (const char* text : {"It is not 12.", "So it isn't 12.", "It isn\u2019t 12.", "It can't be 12", "It cannot be **12**.", "It is certainly not $12$.", "It is never \\(12\\).", "x does not equal 12",
                           "The total is not equal to 12.", "It is anything but 12.", "x \\ne 12", "We had 13, but it is not necessarily 12", "He needs less than 12.", "It must be more than $12.", "12 is impossible.",
                           "12 is too small.", "It lies between 11 and 12."})
    EXPECT_EQ(score_of(text, "12"), 0) << text;
  for (const char* text : {"It is not 10 but 12.", "It is not 10, it is 12.", "Not 10. It is 12.", "We do not need more. So there are 12.", "There are not only 10 but 12.", "He did not eat them, so 12 are left.",
                           "He has 12, which is not enough.", "Believe it or not, 12", "There are no more than 12.", "There are not less than 12", "He can buy at most 12.", "It is 9 less than 21, so 12.", "If not, 12",
                           "There are 11 between them and 12 left"})
    EXPECT_EQ(score_of(text, "12"), 1) << text;
  EXPECT_EQ(score_of("It is not 12 but -12.", "-12"), 1);
}

TEST(MathRunningText, BehindTheAnswerItSaysWhatElseIsNone) {
  for (const char* text : {"It is 12, not 13.", "It is 12 and not 13.", "We get 12 instead of 13.", "12 rather than 13", "8 + 4 = 12, not 13 as claimed", "That makes $12$, not $13$.", "It is 12, not 13, not 14", "So 12 (not 13)",
                           "The answer is 12 instead of 13."}) {
    EXPECT_EQ(score_of(text, "12"), 1) << text;
    EXPECT_EQ(score_of(text, "13"), 0) << text;
  }
  for (const char* text : {"We said 12. It is not 13.", "twelve, not 13", "8 is not 13"})
    for (const char* gold : {"12", "13", "8"}) EXPECT_EQ(score_of(text, gold), 0) << text << " for " << gold;
  EXPECT_EQ(score_of("1, not 2, not 3, not 4, not 5, not 6", "1"), 0) << "so many are a list of guesses";
}

// As behind "the answer is".
TEST(MathRunningText, WhatIsNearIsNotExact) {
  for (const char* text : {"roughly 12", "It is approximately 12.", "That is about $12$.", "It is nearly 12", "It's almost 12", "around **12**", "It is close to 12.", "approx. 12", "~12", "It is approximately equal to 12."}) {
    EXPECT_EQ(score_of(text, "12"), 0) << text;
    EXPECT_EQ(score_of(text, "\\approx 12"), 1) << text;
  }
  for (const char* text : {"It is roughly 3.14.", "It is close to $3.14$."}) EXPECT_EQ(score_of(text, "3.14"), 1) << text;
}

TEST(MathRunningText, OneOfTwoIsNoChoice) {
  for (const char* text : {"It is 12 or 13.", "It must be either 12 or 13", "So $x = 12$ or $x = 13$.", "$12$ or $13$"}) {
    EXPECT_EQ(score_of(text, "12"), 0) << text;
    EXPECT_EQ(score_of(text, "13"), 0) << text;
    EXPECT_EQ(score_of(text, "12, 13"), 1) << text;
  }
  for (const char* text : {"That is 1/2 or 0.5", "That is 50% or 0.5.", "So $\\frac{1}{2}$ or $0.5$.", "The answer is 1/2 or 0.5", "That is 30 minutes or 0.5 hours."}) EXPECT_EQ(score_of(text, "0.5"), 1) << text;
  EXPECT_EQ(score_of("That is 0.333 or 1/3", "1/3"), 1);
}

}  // namespace
}  // namespace cohort
