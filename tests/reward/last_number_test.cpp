// The reward last_number: one row for each thing that a completion can end in.
#include <gtest/gtest.h>

#include "core/check.h"
#include "reward/reward.h"

namespace cohort {
namespace {

std::optional<double> score(std::string_view completion, const Json& columns,
                            const Json& options = {}) {
  return make_reward({.name = "last_number", .options = options})
      ->score(
          {.prompt = "?", .completion = completion, .finish_reason = "stop", .columns = &columns});
}

struct Row {
  const char* completion;
  Json answer;
  double score;
};

TEST(LastNumber, Table) {
  const std::vector<Row> rows = {
      // Where the number stands.
      {"67 + 75 = 142.", 142, 1},
      {"142", 142, 1},
      {"The answer is 142", 142, 1},
      {"142 is the answer", 142, 1},
      {"142 is 67 + 75", 142, 0},
      {"67 + 75 = 142. Done!", 142, 1},
      {"67 + 75 = 142\n\n", 142, 1},
      {"**142**", 142, 1},
      {"\\boxed{142}", 142, 1},
      {"$142$", 142, 1},
      {"$142", 142, 1},
      {"142%", 142, 1},
      {"(142)", 142, 1},
      {"=142;", 142, 1},
      {"142\xC2\xB0", 142, 1},
      {"\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF-5", -5, 1},
      {"<answer>142</answer>", 142, 1},
      {"142 apples and 3 pears", 142, 0},
      {"142 apples and 3 pears", 3, 1},
      {"1 2 3", 3, 1},
      {"1,2,3", 3, 1},
      {"", 142, 0},
      {" ", 0, 0},
      {"no number here", 0, 0},
      {"one hundred", 100, 0},
      {"\xFF\xFE 142", 142, 1},
      {"14", 142, 0},
      {"1142", 142, 0},
      {"1 42", 142, 0},
      {"1 42", 42, 1},
      // Signs.
      {"-5", -5, 1},
      {"-5", 5, 0},
      {"5", -5, 0},
      {"= -5", -5, 1},
      {"=-5", -5, 1},
      {"(-5)", -5, 1},
      {"$-5$", -5, 1},
      {"--5", -5, 1},
      {"- 5", 5, 1},
      {"7-5", 5, 1},
      {"7-5", -5, 0},
      {"7 -5", -5, 1},
      {"7 - 5", 5, 1},
      {"7--5", -5, 1},
      {"7*-5", -5, 1},
      {"(7)-5", 5, 1},
      {"\\frac{1}{2}-5", 5, 1},
      {"a[1]-5", 5, 1},
      {"top-10", 10, 1},
      {"7.-5", -5, 1},
      {"+5", 5, 1},
      {"7+5", 5, 1},
      {"\xE2\x88\x92"
       "5",
       -5, 1},
      {"7\xE2\x88\x92"
       "5",
       5, 1},
      {"7 \xE2\x88\x92"
       "5",
       -5, 1},
      {"7\xE2\x80\x93"
       "5",
       5, 1},
      {"\xE2\x88\x92", 5, 0},
      {"-0", 0, 1},
      {"-0.0", 0, 1},
      {"5-", 5, 1},
      // Thousands.
      {"1,234", 1234, 1},
      {"1,234,567", 1234567, 1},
      {"1,234,567.", 1234567, 1},
      {"-1,234.5", -1234.5, 1},
      {"1,23", 23, 1},
      {"1,2345", 2345, 1},
      {"1234,567", 567, 1},
      {"0,123", 123, 1},
      {"12,345,67", 67, 1},
      {"12,345,67", 12345, 0},
      {"1, 234", 234, 1},
      {"1234", "1,234", 1},
      {"1,000,000", 1e6, 1},
      // Decimals.
      {"3.5", 3.5, 1},
      {"3.50", 3.5, 1},
      {"3.5.", 3.5, 1},
      {"3.0", 3, 1},
      {"3", "3.000", 1},
      {"003", 3, 1},
      {".5", 0.5, 1},
      {"-.5", -0.5, 1},
      {"0.5", ".5", 1},
      {"...5", 5, 1},
      {"No.5", 5, 1},
      {"1.2.3", 3, 1},
      {"1.2.3", 0.3, 0},
      {"3 .", 3, 1},
      {"3.x", 3, 1},
      {"0.1", 0.1, 1},
      {"0.1", "0.1000000000000000055511151231257827", 0},
      {"0.30000000000000004", 0.3, 0},
      {"9007199254740993", "9007199254740992", 0},
      {"9007199254740993", int64_t{9007199254740993}, 1},
      {"18446744073709551615", uint64_t{18446744073709551615u}, 1},
      {"-9223372036854775808", std::numeric_limits<int64_t>::min(), 1},
      {"123456789012345678901234567890", "123456789012345678901234567890", 1},
      {"123456789012345678901234567891", "123456789012345678901234567890", 0},
      // Exponents, fractions, times: the last run of digits that is a number.
      {"1e5", 100000, 1},
      {"1.5E-3", 0.0015, 1},
      {"1e20", 1e20, 1},
      {"1e", 1, 1},
      {"1 e5", 5, 1},
      {"1e5000000000000", 5000000000000, 1},
      {"1/2", 2, 1},
      {"12:30", 30, 1},
      {"2024-01-05", 5, 1},
      {"x2", 2, 1},
      {"H2O", 2, 1},
      // Answers as text.
      {"142", "142", 1},
      {"142", " 142\n", 1},
      {"142", "+142", 1},
      {"-5",
       "\xE2\x88\x92"
       "5",
       1},
  };
  ASSERT_GE(rows.size(), 100u);
  for (const Row& row : rows) {
    EXPECT_EQ(score(row.completion, {{"answer", row.answer}}), row.score)
        << "'" << row.completion << "' against " << row.answer;
  }
}

TEST(LastNumber, ARowWithoutANumberAsAnswerCannotBeJudged) {
  for (const Json& answer :
       std::vector<Json>{"", "x", "1 2", "5 apples", "1,23", "5.", nullptr, true, Json::array({5}),
                         Json::object(), std::nan(""), HUGE_VAL}) {
    EXPECT_EQ(score("5", {{"answer", answer}}), std::nullopt) << answer;
  }
  EXPECT_EQ(score("5", Json::object()), std::nullopt);
  EXPECT_EQ(score("5", {{"Answer", 5}}), std::nullopt);
  EXPECT_EQ(score("5", Json()), std::nullopt);
  EXPECT_EQ(make_reward({.name = "last_number"})->score({.completion = "5", .columns = nullptr}),
            std::nullopt);
}

TEST(LastNumber, ReadsTheColumnThatTheConfigNames) {
  const Json columns = {{"answer", 1}, {"result", 2}};
  EXPECT_EQ(score("2", columns, {{"column", "result"}}), 1.0);
  EXPECT_EQ(score("1", columns, {{"column", "result"}}), 0.0);
  EXPECT_EQ(score("1", columns, {{"column", "other"}}), std::nullopt);
}

}  // namespace
}  // namespace cohort
