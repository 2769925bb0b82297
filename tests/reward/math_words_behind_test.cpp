// What stands behind a value, and what the words before a box deny.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "reward/math/judge.h"

namespace cohort {
namespace {

std::optional<double> score_of(const std::string& completion, const std::string& gold) { return math::judge(completion, gold, {}).score; }

TEST(MathWordsBehind, WhatIsNearIsNotExact) {
  for (const char* text : {"It is 12 (approximately).", "It is 12 (approx.).", "It is $12$ (roughly)", "12 (about)", "It is 12, approximately.", "It is 12 approximately.", "12 cm (approximately)", "It took 12 hours, more or less.",
                           "It is 12 or so.", "There are 12 or so left.", "It is 12ish", "12-ish", "The answer is 12 (approximately).", "The answer is 12 approximately.", "The answer is 12, approximately.",
                           "The answer is 12 or so.", "The answer is 12, give or take.", "\\boxed{12 \\text{ (approximately)}}", "\\boxed{12 (\\text{approx.})}", "\\boxed{12\\ \\left(\\text{approximately}\\right)}",
                           "\\boxed{12 \\text{ approximately}}", "\\boxed{12 \\text{ approx.}}", "\\boxed{12 (around)}", "\\boxed{x = 12 \\text{ (approx.)}}", "<answer>12 (roughly)</answer>", "#### 12 (approx.)"}) {
    EXPECT_EQ(score_of(text, "12"), 0) << text;
    EXPECT_EQ(score_of(text, "\\approx 12"), 1) << text;
  }
  for (const char* text : {"It is 3.14 (approximately).", "\\boxed{3.14 \\text{ (approx.)}}", "The answer is 3.14, roughly."}) EXPECT_EQ(score_of(text, "3.14"), 1) << text;
  EXPECT_EQ(score_of("\\boxed{12}", "12 (approximately)"), 1);
  EXPECT_EQ(score_of("\\boxed{2, 3 \\text{ (approx.)}}", "2, 3"), 0);
}

TEST(MathWordsBehind, WordsOfAnotherKindChangeNothing) {
  for (const char* text : {"There are 12 people around.", "The answer is 12 (approximately 12.0)", "It is 12 (exactly).", "The answer is 12, so we are done.", "There are 12, as he knows about it.", "It is 12 (English)", "12 of them stand around",
                           "11.87 \\approx \\boxed{12}", "It is approximately \\boxed{12}"})
    EXPECT_EQ(score_of(text, "12"), 1) << text;
  EXPECT_EQ(score_of("The answer is 9/256 (approximately 0.035)", "9/256"), 1);
  EXPECT_EQ(score_of("\\boxed{\\text{more or less}}", "more or less"), 1);
}

TEST(MathWordsBehind, SoManyOrMoreAndWhatBreaksOffAreNoAnswer) {
  for (const char* text : {"There are 12+ ways.", "12+", "So it is **12+**.", "It is 12+, I think", "The answer is 12+.", "\\boxed{12+}", "5 + 12 =", "That is 5 + 12 = ?", "So 5 + 12 +", "So we have $5$ + $7$ + 12 = ",
                           "There are 12 or more.", "So $12$ or fewer", "Is it 12? No.", "It is \\boxed{12}? No.", "It is twice 12", "That is half of 12."})
    EXPECT_EQ(score_of(text, "12"), 0) << text;
  for (const char* text : {"7+5 = 12", "It is +12", "It is 12 + 0 = 12", "At x -> 0+ it is 12", "7 +\n5 =\n12", "Half of 24 is 12", "It is 12, or more precisely 12.0", "Is it 12? Now we know: 12"}) EXPECT_EQ(score_of(text, "12"), 1) << text;
  EXPECT_EQ(score_of("The limit is 0 as x -> 0+.", "0"), 1);
  EXPECT_EQ(score_of("It is 3+4i", "3+4i"), 1);
}

TEST(MathBoxes, OneOfWhichTheTextSaysThatItIsNotTheAnswerIsNone) {
  for (const char* text : {"It is not \\boxed{12}.", "So the answer isn't $\\boxed{12}$.", "The answer is not \\boxed{12}", "That can't be \\boxed{12}.", "It cannot be \\(\\boxed{12}\\)", "It's not \\fbox{12}.", "The solution is never \\boxed{12}.",
                           "It is not \\boxed{12} or \\boxed{13}.", "<answer>It is not \\boxed{12}</answer>", "It is neither \\boxed{11} nor \\boxed{12}."})
    for (const char* gold : {"12", "12, 13"}) EXPECT_EQ(score_of(text, gold), 0) << text;
  for (const char* text : {"It is not \\boxed{13}. It is 12.", "It is 12, not \\boxed{13}.", "\\boxed{12}, not \\boxed{13}.", "The answer is 12 rather than \\boxed{13}", "<answer>\\boxed{12} (not \\boxed{13})</answer>",
                           "#### 12, not \\boxed{13}", "The answer is not 13 but \\boxed{12}.", "It is not 13, so it is \\boxed{12}.", "It is not \\boxed{13}, but \\boxed{12}", "It is not odd; the answer is \\boxed{12}", "If not, \\boxed{12}"}) {
    EXPECT_EQ(score_of(text, "12"), 1) << text;
    EXPECT_EQ(score_of(text, "13"), 0) << text;
  }
  // Which value can x not take?
  for (const char* text : {"$x \\ne \\boxed{12}$", "x cannot be \\boxed{12}", "The number must be less than \\boxed{12}", "It is between 11 and \\boxed{12}"}) EXPECT_EQ(score_of(text, "12"), 1) << text;
  EXPECT_EQ(score_of("\\boxed{3}", "It is not \\boxed{3}"), 1) << "what a gold boxes is the gold";
  EXPECT_EQ(score_of("It is neither 10 nor 12.", "12"), 0);
}

}  // namespace
}  // namespace cohort
