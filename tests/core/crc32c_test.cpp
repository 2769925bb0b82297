// CRC-32C against the examples of RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
#include "core/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace cohort {
namespace {

TEST(Crc32c, GivesTheStandardsExamples) {
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
}

}  // namespace
}  // namespace cohort
