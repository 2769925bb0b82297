// Counter-based random numbers: the published values, and that draws are what they claim to be.
#include "core/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/core/expect_error.h"

namespace cohort {
namespace {

TEST(Philox, GivesTheKnownAnswers) {  // of the authors' Random123 library, kat_vectors
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, EveryPartOfTheKeyMatters) {
  std::set<std::array<uint32_t, 4>> seen;
  seen.insert(random_bits(1, Stream::kSample, 2, 3, 4));
  seen.insert(random_bits(uint64_t{1} << 32 | 1, Stream::kSample, 2, 3, 4));
  seen.insert(random_bits(2, Stream::kSample, 2, 3, 4));
  seen.insert(random_bits(1, Stream::kInit, 2, 3, 4));
  seen.insert(random_bits(1, Stream::kSample, 3, 3, 4));
  seen.insert(random_bits(1, Stream::kSample, 2, 4, 4));
  seen.insert(random_bits(1, Stream::kSample, 2, 3, 5));
  EXPECT_EQ(seen.size(), 7u);
}

TEST(Random, UniformsStayInsideTheOpenInterval) {
  EXPECT_GT(open_uniform(0), 0.0f);
  EXPECT_LT(open_uniform(~0u), 1.0f);
  EXPECT_TRUE(std::isfinite(-std::log(-std::log(open_uniform(~0u)))));
  EXPECT_TRUE(std::isfinite(-std::log(-std::log(open_uniform(0)))));
}

TEST(Random, BelowIsUniform) {
  Random random(7, Stream::kTest);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) ++counts[random.below(7)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  EXPECT_ERROR(random.below(0), kInternal, "positive bound");
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  Random random(11, Stream::kTest);
  double sum = 0, squares = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1, 0.03);
}

TEST(Random, BetweenReachesBothEnds) {
  Random random(3, Stream::kTest);
  std::set<int64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.between(-2, 2));
  EXPECT_EQ(seen, (std::set<int64_t>{-2, -1, 0, 1, 2}));
}

}  // namespace
}  // namespace cohort
