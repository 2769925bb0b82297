// The math reward against pairs that are labelled by how they were made (scripts/goldens/make_math_pairs.py,
// make_math_heldout.py, make_math_adversarial.py and make_math_written.py).
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "core/json.h"
#include "reward/math/judge.h"

namespace cohort {
namespace {

struct Tally {
  int right = 0, all = 0;
  int wrong_yes = 0;
  std::string shown;  // what was judged wrongly
};

Tally judge_file(const std::string& name) {
  std::ifstream in(std::string(GOLDEN_DIR) + "/math/" + name);
  EXPECT_TRUE(in.is_open()) << name;
  Tally tally;
  const math::JudgeOptions options;
  for (std::string line; std::getline(in, line);) {
    const std::string where = name + ":" + std::to_string(tally.all + 1);
    const Json record = parse_json(line, where);
    const std::string gold = get_string(record, "gold", where), completion = get_string(record, "completion", where);
    const bool equal = record.at("equal").get<bool>();
    const Verdict verdict = math::judge(completion, gold, options);
    ++tally.all;
    if (verdict.score && (*verdict.score == 1.0) == equal) {
      ++tally.right;
    } else {
      tally.wrong_yes += verdict.score == 1.0;
      tally.shown += where + " [" + get_string(record, "kind", where) + "] gold " + gold +
                     (equal ? " equals" : " differs") + ", but: " + verdict.reason + "\n";
    }
  }
  return tally;
}

TEST(MathPairs, AtLeast98PercentAreJudgedAsAMathematicianWould) {
  const Tally tally = judge_file("pairs.jsonl");
  ASSERT_GE(tally.all, 1500);
  RecordProperty("right", tally.right);
  EXPECT_GE(tally.right, 0.98 * tally.all) << tally.right << " of " << tally.all << "\n" << tally.shown;
  if (std::getenv("COHORT_SHOW_PAIRS")) std::fputs(tally.shown.c_str(), stderr);
}

TEST(MathPairs, SoAreThoseOfAnotherGenerator) {
  const Tally tally = judge_file("heldout.jsonl");
  ASSERT_GE(tally.all, 700);
  RecordProperty("right", tally.right);
  EXPECT_GE(tally.right, 0.98 * tally.all) << tally.right << " of " << tally.all << "\n" << tally.shown;
  if (std::getenv("COHORT_SHOW_PAIRS")) std::fputs(tally.shown.c_str(), stderr);
}

// Kinds that the others lack, and wrong answers near the right one (make_math_adversarial.py). 335 of 364 were right when it was made.
TEST(MathPairs, SoAreThoseThatWereMadeToMislead) {
  const Tally tally = judge_file("adversarial.jsonl");
  ASSERT_GE(tally.all, 350);
  EXPECT_GE(tally.right, 0.98 * tally.all) << tally.right << " of " << tally.all << "\n" << tally.shown;
  EXPECT_EQ(tally.wrong_yes, 0) << tally.shown;
}

// Answers as models hand them over (make_math_written.py). 633 of 652 were right the first time.
TEST(MathPairs, SoAreThoseThatModelsWrite) {
  const Tally tally = judge_file("written.jsonl");
  ASSERT_GE(tally.all, 600);
  EXPECT_GE(tally.right, 0.98 * tally.all) << tally.right << " of " << tally.all << "\n" << tally.shown;
  EXPECT_EQ(tally.wrong_yes, 0) << tally.shown;
}

// Written by a hand that had not seen the checker, with labels of its own; 968 of 992 were right the first time. Three labels rest on a
// question that the pair does not have (is x + y = 42 the number 42?), and two answers are not understood (\sum, \overline of a complex number).
TEST(MathPairs, SoAreThoseOfAnIndependentHand) {
  const Tally tally = judge_file("independent.jsonl");
  ASSERT_EQ(tally.all, 992);
  EXPECT_GE(tally.right, 987) << tally.right << " of " << tally.all << "\n" << tally.shown;
  EXPECT_EQ(tally.wrong_yes, 0) << tally.shown;
}

}  // namespace
}  // namespace cohort
