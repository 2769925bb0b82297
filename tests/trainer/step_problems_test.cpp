// Which problems a step takes: each once an epoch, in an order that is a function of the seed.
#include <algorithm>
#include <set>

#include "tests/trainer/dataset_file.h"

namespace cohort {
namespace {


// The first `count` problems of training, whatever the size of a step.
std::vector<int64_t> sequence(int64_t count, int64_t per_step, int64_t size, uint64_t seed,
                              bool shuffle = true) {
  std::vector<int64_t> all;
  for (int64_t step = 1; static_cast<int64_t>(all.size()) < count; ++step) {
    const std::vector<int64_t> part = step_problems(step, per_step, size, seed, shuffle);
    EXPECT_EQ(static_cast<int64_t>(part.size()), per_step);
    all.insert(all.end(), part.begin(), part.end());
  }
  all.resize(count);
  return all;
}

std::vector<int64_t> sorted(std::vector<int64_t> values) {
  std::ranges::sort(values);
  return values;
}

TEST(StepProblems, EachProblemOnceAnEpoch) {
  for (const int64_t size : {1, 2, 7, 64, 1000}) {
    const std::vector<int64_t> all = sequence(3 * size, 5, size, 42);
    std::vector<int64_t> identity(size);
    for (int64_t i = 0; i < size; ++i) identity[i] = i;
    for (int64_t epoch = 0; epoch < 3; ++epoch)
      EXPECT_EQ(sorted({all.begin() + epoch * size, all.begin() + (epoch + 1) * size}), identity)
          << size;
  }
}

TEST(StepProblems, StepsAreSlicesOfOneSequence) {
  const std::vector<int64_t> all = sequence(1000, 1, 37, 9);
  for (const int64_t per_step : {2, 8, 37, 38, 100})
    EXPECT_EQ(sequence(1000, per_step, 37, 9), all) << per_step;
}

TEST(StepProblems, OrdersDependOnSeedAndEpoch) {
  const std::vector<int64_t> a = sequence(200, 10, 100, 1), b = sequence(200, 10, 100, 2);
  EXPECT_EQ(a, sequence(200, 10, 100, 1));
  EXPECT_NE(a, b);
  EXPECT_NE(std::vector<int64_t>(a.begin(), a.begin() + 100),
            std::vector<int64_t>(a.begin() + 100, a.end()));
  EXPECT_NE(a, sequence(200, 10, 100, uint64_t{1} << 32 | 1));
  EXPECT_FALSE(std::ranges::is_sorted(a.begin(), a.begin() + 100));
}

TEST(StepProblems, EveryProblemComesFirstEquallyOften) {
  const int64_t size = 8, seeds = 8000;
  std::vector<int> first(size);
  for (int64_t seed = 0; seed < seeds; ++seed) ++first[step_problems(1, 1, size, seed, true)[0]];
  for (const int count : first)
    EXPECT_NEAR(count, 1000, 150);  // five standard deviations; seeds are fixed
}

TEST(StepProblems, WithoutShufflingTheOrderOfTheFile) {
  EXPECT_EQ(sequence(7, 2, 3, 42, false), (std::vector<int64_t>{0, 1, 2, 0, 1, 2, 0}));
}

TEST(StepProblems, FarStepsNeedNoHistory) {
  const int64_t step = int64_t{1} << 40;
  EXPECT_EQ(step_problems(step, 100, 100, 3, true).size(), 100u);
  EXPECT_EQ(sorted(step_problems(step, 100, 100, 3, true)),
            sorted(step_problems(1, 100, 100, 3, true)));
  // Epochs that differ in the upper half of their number have orders of their own.
  EXPECT_NE(step_problems(step + 1, 100, 100, 3, true), step_problems(1, 100, 100, 3, true));
}

TEST(StepProblems, ImpossibleArgumentsAreInternalErrors) {
  refusal(ExitCode::kInternal, [] { step_problems(0, 1, 1, 0, true); });
  refusal(ExitCode::kInternal, [] { step_problems(1, 0, 1, 0, true); });
  refusal(ExitCode::kInternal, [] { step_problems(1, 1, 0, 0, true); });
  refusal(ExitCode::kInternal, [] { step_problems(INT64_MAX, 2, 1, 0, true); });
  refusal(ExitCode::kInternal, [] { epoch_at(1, 1, 0); });
}

TEST(EpochAt, CountsWhatIsDoneBeforeTheStep) {
  EXPECT_EQ(epoch_at(1, 8, 32), 0.0);
  EXPECT_EQ(epoch_at(2, 8, 32), 0.25);
  EXPECT_EQ(epoch_at(5, 8, 32), 1.0);
  EXPECT_EQ(epoch_at(3, 10, 5), 4.0);
}

}  // namespace
}  // namespace cohort
