// The time by which a run has to be saved.
#include "trainer/save_by.h"

#include <gtest/gtest.h>

#include "tests/core/expect_error.h"

namespace cohort {
namespace {

TEST(SaveBy, ReadsDaysAndTime) {
  EXPECT_EQ(parse_days_and_time("00:03:45:00", "x"), 3 * 3600 + 45 * 60);
  EXPECT_EQ(parse_days_and_time("02:00:00:01", "x"), 2 * 86400 + 1);
  EXPECT_EQ(parse_days_and_time("99:23:59:59", "x"), 99 * 86400 + 86399);
  for (const char* bad : {"", "3", "03:45:00", "0:03:45:00", "00:03:45", "00:24:00:00", "00:00:60:00", "00:00:00:60", "00:00:00:00", "00:03:45:00:", ":00:03:45:00",
                          "00:03:45:0x", "-1:03:45:00", "000:03:45:00", "00:03:45:000", "00:03:45:00 ", "1-03:45:00"})
    EXPECT_ERROR(parse_days_and_time(bad, "trainer.checkpoint_must_save_by"), kUsage, "trainer.checkpoint_must_save_by: found '");
}

TEST(SaveBy, LeavesTimeForTheLongestStepAndCheckpoint) {
  SaveBy by("00:00:01:40");
  EXPECT_FALSE(by.is_due(99));
  EXPECT_TRUE(by.is_due(100));
  by.step_took(30), by.step_took(20);
  EXPECT_FALSE(by.is_due(69));
  EXPECT_TRUE(by.is_due(70));
  by.checkpoint_took(5), by.checkpoint_took(10), by.checkpoint_took(0);
  EXPECT_FALSE(by.is_due(59));
  EXPECT_TRUE(by.is_due(60));
  EXPECT_FALSE(by.is_due(29, /*ahead=*/true));
  EXPECT_TRUE(by.is_due(30, /*ahead=*/true));
  by.checkpoint_will_be(1e12);  // once one is written it is known
  EXPECT_FALSE(by.is_due(59));
  SaveBy first("00:00:01:40");
  first.checkpoint_will_be(40 * SaveBy::kSlowDisk);
  EXPECT_FALSE(first.is_due(59));
  EXPECT_TRUE(first.is_due(60));
  EXPECT_FALSE(SaveBy("").is_due(1e9));
}

TEST(SaveBy, AProcessKnowsItsAge) {
  const double before = process_age();
  EXPECT_GE(before, 0);
  EXPECT_LT(before, 3600);
  EXPECT_GE(process_age(), before);
}

}  // namespace
}  // namespace cohort
