// Decimals: what a number is in running text, and when two numbers are equal.
#include "reward/decimal.h"

#include <gtest/gtest.h>

#include <random>

namespace cohort {
namespace {

Decimal number(std::string_view text) {
  const std::optional<Decimal> result = parse_decimal(text);
  if (!result) throw std::runtime_error("no number: " + std::string(text));
  return *result;
}

TEST(Decimal, EqualValuesAreEqualHoweverTheyAreWritten) {
  const std::vector<std::vector<std::string>> same = {
      {"0", "-0", "+0", "0.0", "-.0", "000", "0e5", "0.000e-9"},
      {"1234.5", "1,234.5", "+1234.50", "01234.5", "1.2345e3", "12345E-1", " 1234.5\n"},
      {"-7",
       "\xE2\x88\x92"
       "7",
       "-7.0", "-0007", "-70e-1"},
      {".5", "0.5", "0.50", "5e-1"},
      {"1000000", "1,000,000", "1e6", "1E+6"},
  };
  for (size_t i = 0; i < same.size(); ++i)
    for (const std::string& a : same[i])
      for (size_t j = 0; j < same.size(); ++j)
        for (const std::string& b : same[j])
          EXPECT_EQ(number(a) == number(b), i == j) << a << " " << b;
}

TEST(Decimal, NoDigitIsLost) {
  EXPECT_NE(number("9007199254740993"), number("9007199254740992"));  // equal as doubles
  EXPECT_NE(number("0.1"), number("0.1000000000000000055511151231257827"));
  EXPECT_NE(number("1e-400"), number("0"));
  EXPECT_NE(number("1e400"), number("2e400"));
  EXPECT_EQ(number("1" + std::string(1000, '0')), number("1e1000"));
}

TEST(Decimal, WhatIsNotOneNumberIsNone) {
  for (const char* text : {"",
                           " ",
                           "-",
                           "+",
                           ".",
                           "-.",
                           "e5",
                           "1e",
                           "1e+",
                           "5.",
                           "1.2.3",
                           "1 2",
                           "1,23",
                           "1234,567",
                           "0,123",
                           "1,2345",
                           ",123",
                           "1,234,",
                           "--5",
                           "+-5",
                           "- 5",
                           "1/2",
                           "50%",
                           "$5",
                           "x",
                           "5x",
                           "x5",
                           "1_000",
                           "NaN",
                           "inf",
                           "0x10",
                           "1e9999999999",
                           "\xEF\xBC\x95",
                           "(5)",
                           "5-",
                           "#### 5"}) {
    EXPECT_FALSE(parse_decimal(text)) << text;
  }
}

// A slow, obvious twin: integers through std::to_string, written in any of the forms.
TEST(Decimal, RandomNumbersSurviveEveryWayOfWriting) {
  const unsigned seed = 20240917;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 20000; ++i) {
    const int64_t value = static_cast<int64_t>(random()) - (int64_t{1} << 31);
    const std::string plain = std::to_string(value);
    std::string grouped = plain;
    for (size_t at = grouped.size(); at > 3 && grouped[at - 4] != '-'; at -= 3)
      grouped.insert(at - 3, 1, ',');
    const int shift = static_cast<int>(random() % 6);
    const std::string scaled = plain + std::string(shift, '0') + "e-" + std::to_string(shift);
    for (const std::string& written : {grouped, plain + ".00", scaled}) {
      ASSERT_EQ(number(written), number(plain)) << written;
      ASSERT_EQ(last_decimal("7 is not " + written + "."), number(plain)) << written;
      ASSERT_NE(number(written), number(std::to_string(value + 1))) << written;
    }
  }
}

// Quadratic work would not end within the test's time limit.
TEST(Decimal, HostileTextTakesLinearTime) {
  for (const std::string piece :
       {"1", "-", "1-", "1,", "1,111", ",111", ".", "1.", ".1", "1e", "1e1", "1e+", "\xE2\x88\x92",
        "\xE2\x88\x92"
        "1",
        "e", " ", "123456789012345678901234567890,", "\xFF"}) {
    std::string text;
    while (text.size() < (4u << 20)) text += piece;
    for (const char* end : {"", " 12."}) {
      const std::optional<Decimal> last = last_decimal(text + end);
      EXPECT_EQ(last == number("12"), *end != 0) << piece;
      parse_decimal(text + end);
    }
  }
  const std::string digits(4u << 20, '7');
  EXPECT_EQ(last_decimal("x " + digits), number(digits));
  EXPECT_NE(last_decimal("x 1" + digits), number(digits));
}

TEST(Decimal, RandomTextNeverBreaksIt) {
  const unsigned seed = 977;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const std::string alphabet = "0123456789,,..--eE+ x)\xE2\x88\x92";
  for (int i = 0; i < 50000; ++i) {
    std::string text;
    for (unsigned n = random() % 24; n > 0; --n) text += alphabet[random() % alphabet.size()];
    const bool has_digit = text.find_first_of("0123456789") != std::string::npos;
    ASSERT_EQ(last_decimal(text).has_value(), has_digit) << text;
    const std::optional<Decimal> whole = parse_decimal(text);
    if (whole) {
      ASSERT_EQ(last_decimal(" " + text), whole) << text;
    }
  }
}

}  // namespace
}  // namespace cohort
