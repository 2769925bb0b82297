// pass@k is the formula's exact fraction, votes and intervals are what their papers say.
#include "trainer/eval_statistics.h"

#include <bit>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/json.h"
#include "core/rng.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

std::vector<Json> goldens(const char* with) {
  std::vector<Json> rows;
  for (const std::string& line : read_whole_lines(std::string(GOLDEN_DIR) + "/eval/statistics.jsonl"))
    if (Json row = parse_json(line, "statistics.jsonl"); row.contains(with)) rows.push_back(std::move(row));
  return rows;
}

TEST(EvalStatistics, PassAtKIsTheExactFraction) {
  const std::vector<Json> rows = goldens("pass_at_k");
  EXPECT_GT(rows.size(), 350u);
  for (const Json& row : rows) {
    const double found = pass_at_k(row["n"], row["c"], row["k"]), expected = row["pass_at_k"];
    EXPECT_NEAR(found, expected, 1e-12 * std::max(expected, 1e-3)) << row.dump();
    EXPECT_TRUE(found == expected || (expected != 0 && expected != 1)) << row.dump();
    EXPECT_TRUE(found >= 0 && found <= 1) << row.dump();
  }
}

// All ways to take k of n, in a program that knows nothing of the formula; fractions of small whole numbers are compared exactly.
TEST(EvalStatistics, PassAtKIsTheShareOfSubsetsWithACorrectOne) {
  for (int n = 1; n <= 9; ++n)
    for (int c = 0; c <= n; ++c) {
      std::map<int, std::pair<int64_t, int64_t>> hits;  // k: subsets with a correct one, all
      for (uint32_t subset = 1; subset < uint32_t{1} << n; ++subset) {
        auto& [with, all] = hits[std::popcount(subset)];
        all += 1;
        with += (subset & ((uint32_t{1} << c) - 1)) != 0;
      }
      for (const auto& [k, counts] : hits)
        EXPECT_NEAR(pass_at_k(n, c, k), static_cast<double>(counts.first) / static_cast<double>(counts.second), 1e-15) << n << " " << c << " " << k;
    }
  EXPECT_ERROR(pass_at_k(4, 5, 1), kInternal, "pass@1 of 4 completions, 5 correct");
  EXPECT_ERROR(pass_at_k(4, 2, 5), kInternal, "pass@5");
  EXPECT_ERROR(pass_at_k(4, 2, 0), kInternal, "pass@0");
}

// The fractions of the goldens are what the formula says: C(n-c, k) by Pascal's triangle.
TEST(EvalStatistics, TheGoldensAreTheFormula) {
  int compared = 0;
  for (const Json& row : goldens("pass_at_k")) {
    const auto n = row["n"].get<size_t>(), c = row["c"].get<size_t>(), k = row["k"].get<size_t>();
    if (n > 32) continue;
    std::vector<std::vector<int64_t>> choose(n + 1, std::vector<int64_t>(n + 1));
    for (size_t i = 0; i <= n; ++i) {
      choose[i][0] = 1;
      for (size_t j = 1; j <= i; ++j) choose[i][j] = choose[i - 1][j - 1] + choose[i - 1][j];
    }
    const int64_t numerator = std::stoll(row["numerator"].get<std::string>()), denominator = std::stoll(row["denominator"].get<std::string>());
    using Wide = __int128;
    EXPECT_TRUE(Wide{choose[n][k] - choose[n - c][k]} * denominator == Wide{numerator} * choose[n][k]) << row.dump();
    ++compared;
  }
  EXPECT_GT(compared, 200);
}

std::optional<size_t> vote(const std::vector<std::string>& answers) {
  return majority(answers.size(), [&](size_t i) { return !answers[i].empty(); }, [&](size_t a, size_t b) { return answers[a] == answers[b]; });
}

TEST(EvalStatistics, TheMajorityIsTheAnswerOfMostAndOfEqualsTheFirst) {
  EXPECT_EQ(vote({"a", "b", "b"}), 1u);
  EXPECT_EQ(vote({"a", "b", "b", "a"}), 0u) << "a tie";
  EXPECT_EQ(vote({"b", "a", "a", "b", "c"}), 0u) << "a tie";
  EXPECT_EQ(vote({"", "", "x"}), 2u) << "without an answer, no vote";
  EXPECT_EQ(vote({"", "y", "x", "x", "", ""}), 2u);
  EXPECT_EQ(vote({"", ""}), std::nullopt);
  EXPECT_EQ(vote({}), std::nullopt);
  // Votes count for the first completion whose answer is the same, also where being the same is no equivalence.
  const std::vector<double> numbers = {1.0, 1.4, 1.8, 2.9};
  EXPECT_EQ(majority(4, [](size_t) { return true; }, [&](size_t a, size_t b) { return std::abs(numbers[a] - numbers[b]) < 0.5; }), 0u);
}

TEST(EvalStatistics, WilsonsIntervalIsTheFormula) {
  const std::vector<Json> rows = goldens("trials");
  EXPECT_GT(rows.size(), 30u);
  for (const Json& row : rows) {
    const Interval found = wilson_interval(row["successes"], row["trials"]);
    EXPECT_NEAR(found.low, row["low"].get<double>(), 1e-13) << row.dump();
    EXPECT_NEAR(found.high, row["high"].get<double>(), 1e-13) << row.dump();
    EXPECT_TRUE(found.low >= 0 && found.high <= 1 && found.low < found.high) << row.dump();
  }
  EXPECT_EQ(wilson_interval(0, 10).low, 0);
  EXPECT_EQ(wilson_interval(10, 10).high, 1);
  EXPECT_ERROR(wilson_interval(1, 0), kInternal, "1 successes in 0 trials");
}

TEST(EvalStatistics, TheBootstrapIsTheSameEachTimeAndAboutTheNormalInterval) {
  Random random(3, Stream::kTest);
  std::vector<double> values;
  double sum = 0, squares = 0;
  for (int i = 0; i < 400; ++i) values.push_back(static_cast<double>(random.below(9)) / 8), sum += values.back();
  const double mean = sum / 400;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half = 1.96 * std::sqrt(squares / 400 / 400);
  const Interval found = bootstrap_interval(values);
  EXPECT_EQ(found, bootstrap_interval(values));
  EXPECT_NEAR(found.low, mean - half, 0.1 * half);
  EXPECT_NEAR(found.high, mean + half, 0.1 * half);
  EXPECT_EQ(bootstrap_interval(std::vector<double>(7, 0.25)), (Interval{0.25, 0.25}));
  EXPECT_EQ(bootstrap_interval(std::vector<double>{0.5}), (Interval{0.5, 0.5}));
  EXPECT_ERROR(bootstrap_interval({}), kInternal, "over 0 problems");
}

// How often the interval holds the truth, over many data sets: about 95 % (a little less, as the bootstrap's are narrow).
TEST(EvalStatistics, TheBootstrapCoversTheTruth) {
  int covered = 0;
  constexpr int kSets = 200;
  for (uint32_t set = 0; set < kSets; ++set) {
    Random random(17, Stream::kTest, set);
    std::vector<double> values;
    for (int i = 0; i < 60; ++i) values.push_back(random.below(10) < 3 ? 1.0 : 0.0);
    const Interval found = bootstrap_interval(values);
    covered += found.low <= 0.3 && 0.3 <= found.high;
  }
  EXPECT_GE(covered, 0.88 * kSets);
  EXPECT_LT(covered, kSets);
}

}  // namespace
}  // namespace cohort
