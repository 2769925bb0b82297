// Reasons in files of completions: short, valid, and only of rewards that gave one.
#include "trainer/reward_reasons.h"

#include <gtest/gtest.h>

#include "core/text.h"

namespace cohort {
namespace {

std::string shortened(std::string reason) { return short_reasons(std::vector<Verdict>{{1.0, std::move(reason)}}).at(0); }

TEST(RewardReasons, AreAsTheyWereGivenUpToTheirLength) {
  for (const std::string& reason : {std::string(), std::string("the last number is 5"), std::string(kLongestReason, 'x'), std::string("a\tb\n")})
    EXPECT_EQ(shortened(reason), reason);
  EXPECT_EQ(shortened(std::string(kLongestReason + 1, 'x')), std::string(kLongestReason - 3, 'x') + "...");
}

// Wherever the cut falls, and whatever bytes a checker has written.
TEST(RewardReasons, AreValidAndShortWhateverTheyHold) {
  for (const std::string piece : {"é", "€", "𝛼", "\xFF", "\xE2\x82"}) {
    for (size_t before = 0; before < 8; ++before) {
      std::string reason(before, 'x');
      for (int i = 0; i < 1000; ++i) reason += piece;
      const std::string text = shortened(reason);
      EXPECT_TRUE(is_utf8(text)) << before;
      EXPECT_LE(text.size(), kLongestReason) << before;
      EXPECT_GT(text.size(), kLongestReason - 8) << before;
      EXPECT_TRUE(text.ends_with("...")) << text;
    }
  }
}

TEST(RewardReasons, AreLeftOutWhereThereIsNone) {
  const std::vector<RewardSpec> specs = {{.name = "math"}, {.name = "length"}};
  EXPECT_EQ(reasons_by_name(std::vector<std::string>{"", "12 tokens"}, specs), (Json{{"length", "12 tokens"}}));
  EXPECT_EQ(reasons_by_name(std::vector<std::string>{"", ""}, specs), Json::object());
  EXPECT_EQ(reasons_by_name({}, specs), Json::object()) << "of an earlier version's checkpoint";
}

}  // namespace
}  // namespace cohort
