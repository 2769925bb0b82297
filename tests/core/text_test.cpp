// UTF-8, nearest names, sizes and durations.
#include "core/text.h"

#include <gtest/gtest.h>

namespace cohort {
namespace {

TEST(Text, KnowsWellFormedUtf8) {
  for (const char* good : {"", "abc", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "a\xFF"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(Text, EveryCodePointComesBack) {
  for (char32_t code = 0; code <= 0x10FFFF; code += code < 0x3000 ? 1 : 97) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, code);
    ASSERT_TRUE(is_utf8(text)) << static_cast<uint32_t>(code);
    size_t at = 0;
    ASSERT_EQ(next_code_point(text, at), code);
    ASSERT_EQ(at, text.size());
  }
}

TEST(Text, InvalidBytesBecomeReplacementCharacters) {
  EXPECT_EQ(to_valid_utf8("a\xFF\xC3\xA9\xE2\x82"), "a\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(to_valid_utf8("fine \xE2\x82\xAC"), "fine \xE2\x82\xAC");
}

TEST(Text, NearestNameForgivesSlipsOnly) {
  const std::vector<std::string> names = {"num_generations", "num_iterations", "beta", "seed"};
  EXPECT_EQ(nearest_name("num_generation", names), "num_generations");
  EXPECT_EQ(nearest_name("num_itreations", names), "num_iterations");
  EXPECT_EQ(nearest_name("bata", names), "beta");
  EXPECT_EQ(nearest_name("sede", names), "seed");
  EXPECT_EQ(nearest_name("zebra", names), "");
  EXPECT_EQ(nearest_name("", names), "");
}

TEST(Text, SizesAndDurationsForPeople) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(1430000000), "1.4 GB");
  EXPECT_EQ(human_bytes(999999999), "1.0 GB");
  EXPECT_EQ(human_bytes(269000000), "269 MB");
  EXPECT_EQ(human_seconds(0.04), "0.0s");
  EXPECT_EQ(human_seconds(9.96), "10s");
  EXPECT_EQ(human_seconds(271), "4m 31s");
  EXPECT_EQ(human_seconds(3600), "1h 00m");
}

TEST(Text, PrintableLeavesNoControlCharacters) {
  EXPECT_EQ(printable("a\x1b[2Jb\tc\nd\x7f"), "a\\x1B[2Jb\tc\nd\\x7F");
  EXPECT_EQ(printable("\xc2\x9b" "31m é 世"), "\\x9B31m é 世");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

}  // namespace
}  // namespace cohort
