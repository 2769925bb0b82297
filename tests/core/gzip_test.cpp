#include "core/gzip.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "tests/core/expect_error.h"
#include "tests/core/packed.h"

namespace cohort {
namespace {

TEST(Gzip, UnpacksMembersOneAfterTheOther) {
  std::string large;  // more than one piece
  for (int64_t i = 0; i < 300'000; ++i) large += std::to_string(i * 7919 % 10007) + "\n";
  for (const std::string& text : {std::string(), std::string("a"), large, std::string(1 << 20, 'x')}) {
    EXPECT_TRUE(is_gzip(packed(text)));
    EXPECT_TRUE(gunzip(packed(text), "f.gz", 1 << 24) == text) << text.size();
    EXPECT_TRUE(gunzip(packed(text) + packed("b") + packed(text), "f.gz", 1 << 24) == text + "b" + text) << text.size();
  }
  EXPECT_FALSE(is_gzip("{\"prompt\": 1}"));
  EXPECT_FALSE(is_gzip(""));
}

// Wherever it is cut, and whichever byte of its data or checksum is another.
TEST(Gzip, DamageIsRefused) {
  const std::string file = packed("the quick brown fox jumps over the lazy dog, and over the lazy cat");
  for (size_t size = 2; size < file.size(); ++size) EXPECT_ERROR(gunzip(file.substr(0, size), "f.gz", 1000), kInput, "f.gz: the gzip file ends within");
  for (size_t at = 10; at < file.size(); ++at) {
    std::string other = file;
    other[at] = static_cast<char>(other[at] ^ 0x55);
    EXPECT_ERROR(gunzip(other, "f.gz", 1000), kInput, "f.gz: ");
  }
  EXPECT_ERROR(gunzip(file + "tail", "f.gz", 1000), kInput, "f.gz: 4 bytes behind the end of the gzip data are none");
}

// A small file that would unpack to much: it is given up at the limit.
TEST(Gzip, ABombIsRefused) {
  const std::string file = packed(std::string(64 << 20, '\0'));
  EXPECT_LT(file.size(), 100'000u);
  EXPECT_ERROR(gunzip(file, "f.gz", 1 << 20), kInput, "f.gz: unpacked it has more than 1048576 bytes; allowed are 1048576");
}

}  // namespace
}  // namespace cohort
