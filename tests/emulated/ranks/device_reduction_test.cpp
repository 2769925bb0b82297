// The sum of gradients on GPUs against the CPU's path: the same bits for any ranks, buckets and pieces.
#include "trainer/device_reduction.h"

#include "model/gpu_stream.h"
#include "tests/core/expect_error.h"
#include "tests/emulated/ranks/gpu_threads.h"
#include "tests/emulated/ranks/gradient_steps.h"

namespace cohort {
namespace {

// All of [0, size) from the end to the beginning, in pieces.
std::vector<ParamSpan> random_buckets(std::mt19937& random, int64_t size) {
  std::vector<int64_t> cuts = {0, size};
  for (uint32_t i = random() % 5; i-- > 0;) cuts.push_back(static_cast<int64_t>(random() % static_cast<uint32_t>(size)));
  std::ranges::sort(cuts, std::greater());
  std::vector<ParamSpan> buckets;
  for (size_t i = 1; i < cuts.size(); ++i) buckets.push_back({cuts[i], cuts[i - 1]});
  return buckets;
}

class DeviceReductionTest : public GpuThreads {
 protected:
  // Several steps by one reduction on these ranks.
  static void expect_the_cpus_bits(int ranks, const std::vector<Step>& steps, size_t size, int64_t exchange, uint32_t seed) {
    on_ranks(ranks, [&](Comm& host, DeviceComm& comm) {
      std::mt19937 random(seed);  // the same buckets on all ranks
      DeviceReduction reduction(static_cast<int64_t>(size), static_cast<int>(steps[0].size()), comm, Numerics::strict,
                                exchange);
      for (size_t s = 0; s < steps.size(); ++s) {
        const std::vector<ParamSpan> buckets = random_buckets(random, static_cast<int64_t>(size));
        const Values total = total_by_gpu(steps[s], size, reduction, buckets, comm);
        EXPECT_TRUE(same_bits(total, total_by_cpu(steps[s], size, host)))
            << "step " << s << " on rank " << host.rank() << " of " << ranks << ", exchange " << exchange;
      }
    });
  }
};

TEST_F(DeviceReductionTest, TheBitsOfTheCpuOnAnyRanks) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr size_t kSize = 8 * 304;
  std::vector<Step> steps;
  for (const std::vector<bool>& pattern : std::vector<std::vector<bool>>{{1, 1, 1, 1, 1, 1, 1, 1},
                                                                         {1, 0, 0, 1, 1, 0, 1, 0},
                                                                         {0, 0, 0, 0, 1, 0, 0, 0},
                                                                         {0, 1, 1, 1, 1, 1, 1, 1}})
    steps.push_back(random_step(random, kSize, pattern));
  for (int ranks : {1, 2, 3, 5, 8})
    for (int64_t exchange : {int64_t{1} << 22, int64_t{100}}) expect_the_cpus_bits(ranks, steps, kSize, exchange, random());
}

TEST_F(DeviceReductionTest, InAnyOrderOfStreams) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr size_t kSize = 8 * 80;
  std::vector<Step> steps;
  for (int i = 0; i < 3; ++i) steps.push_back(random_step(random, kSize, {1, 1, 1, 0, 1, 1, 1, 1}));
  for (const char* order : kStreamOrders) {
    settings(order);
    for (int ranks : {2, 3}) expect_the_cpus_bits(ranks, steps, kSize, 90, random());
  }
}

TEST_F(DeviceReductionTest, MoreSumsThanTheKernelAddsUpAtOnce) {
  settings("devices=16");
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<bool> all(64, true), some(64);
  for (size_t leaf = 0; leaf < some.size(); ++leaf) some[leaf] = random() % 4 != 0;
  size_t terms = 0;
  for (int rank = 0; rank < 9; ++rank) terms += held_nodes(all, rank, 9).size();
  EXPECT_GT(terms, gpu::kOrderedTerms);
  const std::vector<Step> steps{random_step(random, 64 * 16, all), random_step(random, 64 * 16, some)};
  expect_the_cpus_bits(9, steps, 64 * 16, 1 << 22, random());
}

// Whole numbers add up exactly in any order.
TEST_F(DeviceReductionTest, TheLibrarysOrderGivesTheSameSums) {
  constexpr size_t kSize = 8 * 48;
  for (const std::vector<bool>& pattern : std::vector<std::vector<bool>>{{1, 1, 1, 1, 1, 1, 1, 1}, {0, 0, 1, 1, 1, 0, 0, 0}}) {
    Step step(8);
    for (int leaf = 0; leaf < 8; ++leaf) {
      if (!pattern[static_cast<size_t>(leaf)]) continue;
      Values& values = step[static_cast<size_t>(leaf)].emplace_back(kSize);
      for (size_t i = 0; i < kSize; ++i) values[i] = static_cast<float>((leaf * 131 + static_cast<int>(i) * 7) % 201 - 100);
    }
    for (int ranks : {1, 2, 3, 4, 5}) {
      for (int64_t exchange : {1 << 22, 100}) {
        on_ranks(ranks, [&](Comm& host, DeviceComm& comm) {
          DeviceReduction reduction(kSize, 8, comm, Numerics::fast, exchange);
          for (const std::vector<ParamSpan>& buckets :
               std::vector<std::vector<ParamSpan>>{{{0, kSize}}, {{200, kSize}, {16, 200}, {0, 16}}}) {
            EXPECT_EQ(total_by_gpu(step, kSize, reduction, buckets, comm), total_by_cpu(step, kSize, host))
                << ranks << " ranks, exchange " << exchange;
          }
        });
      }
    }
  }
}

TEST_F(DeviceReductionTest, RefusesBucketsThatAreNotAllOfTheGradient) {
  on_ranks(1, [](Comm&, DeviceComm& comm) {
    EXPECT_ERROR(DeviceReduction(12, 8, comm), kInternal, "12 gradients over 8 logical ranks");
    EXPECT_ERROR(DeviceReduction(16, 8, comm, Numerics::strict, 0), kInternal, "exchanges of 0");
    const GpuStream work;
    const GpuFloats memory(Values(16, 1.0f));
    float* const sums[] = {memory.data()};
    const std::vector<bool> all(8, true);
    DeviceReduction reduction(16, 8, comm);
    EXPECT_ERROR(reduction.reduce({0, 16}, work), kInternal, "no step has begun");
    EXPECT_ERROR(reduction.begin(std::vector<bool>(8, false), sums), kInternal, "some of them used");
    EXPECT_ERROR(reduction.begin(std::vector<bool>(4, true), sums), kInternal, "8 leaves");
    EXPECT_ERROR(reduction.begin(all, {}), kInternal, "0 sums, expected 1");
    reduction.begin(all, sums);
    EXPECT_ERROR(reduction.reduce({8, 17}, work), kInternal, "elements [8, 17) of 16");
    EXPECT_ERROR(reduction.reduce({8, 7}, work), kInternal, "elements [8, 7)");
    reduction.reduce({8, 16}, work);
    EXPECT_ERROR(reduction.finish(work), kInternal, "one begins at 8, those before it end at 0");
    reduction.begin(all, sums);
    reduction.reduce({0, 8}, work);
    EXPECT_ERROR(reduction.finish(work), kInternal, "8 of 16 elements");
    reduction.reduce({8, 16}, work);
    for (int64_t empty : {0, 8, 16}) reduction.reduce({empty, empty}, work);
    EXPECT_EQ(reduction.finish(work), memory.data());
    EXPECT_ERROR(reduction.finish(work), kInternal, "");
  });
}

}  // namespace
}  // namespace cohort
