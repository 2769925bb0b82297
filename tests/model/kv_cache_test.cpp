// Pages of keys and values: taken, shared, copied on the way apart, given back.
#include "model/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

class KvCacheTest : public testing::Test {
 protected:
  KvCacheTest() : policy_(make_policy(tiny_config(), DType::f32, 1)) {}

  // Rows that say who they are: layer, position, key or value.
  std::vector<float> rows(int64_t first, int64_t count, float sign) const {
    std::vector<float> data;
    for (int64_t p = first; p < first + count; ++p)
      for (int64_t c = 0; c < kWidth; ++c) data.push_back(sign * static_cast<float>(1000 * p + c));
    return data;
  }
  void store(KvCache& cache, const PageTable& table, int64_t first, int64_t count) const {
    for (int64_t layer = 0; layer < 2; ++layer) {
      std::vector<float> k = rows(first, count, static_cast<float>(layer + 1)), v = rows(first, count, -1.0f);
      cache.store(layer, table, first, {k.data(), DType::f32, {count, kWidth}}, {v.data(), DType::f32, {count, kWidth}});
    }
  }
  void expect_rows(const KvCache& cache, const PageTable& table, int64_t count) const {
    for (int64_t layer = 0; layer < 2; ++layer) {
      const KeyPages pages = cache.layer(layer);
      for (int64_t p = 0; p < count; ++p) {
        const int64_t row = table[static_cast<size_t>(p / pages.page_tokens)] * pages.page_tokens + p % pages.page_tokens;
        const std::vector<float> k = rows(p, 1, static_cast<float>(layer + 1)), v = rows(p, 1, -1.0f);
        ASSERT_EQ(std::memcmp(static_cast<const float*>(pages.keys) + row * kWidth, k.data(), kWidth * 4), 0) << p;
        ASSERT_EQ(std::memcmp(static_cast<const float*>(pages.values) + row * kWidth, v.data(), kWidth * 4), 0) << p;
      }
    }
  }

  static constexpr int64_t kWidth = 2 * 16;
  std::unique_ptr<Policy> policy_;
};

TEST_F(KvCacheTest, GrowsByWholePagesAndTakesNothingWhenThereAreTooFew) {
  KvCache cache(*policy_, 5, 4);
  PageTable a, b;
  EXPECT_TRUE(cache.grow(a, 1));
  EXPECT_EQ(a.size(), 1u);
  EXPECT_TRUE(cache.grow(a, 4));
  EXPECT_EQ(a.size(), 1u);
  EXPECT_TRUE(cache.grow(a, 9));
  EXPECT_EQ(a.size(), 3u);
  EXPECT_FALSE(cache.grow(b, 12));
  EXPECT_TRUE(b.empty());
  EXPECT_EQ(cache.free_pages(), 2);
  cache.release(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(cache.free_pages(), 5);
}

TEST_F(KvCacheTest, AForkSharesWholePagesAndCopiesTheRest) {
  KvCache cache(*policy_, 6, 4);
  PageTable prompt, sample;
  ASSERT_TRUE(cache.grow(prompt, 10));
  store(cache, prompt, 0, 10);
  ASSERT_TRUE(cache.fork(sample, prompt, 10));
  EXPECT_EQ(cache.free_pages(), 2);
  EXPECT_TRUE(std::equal(prompt.begin(), prompt.begin() + 2, sample.begin()));
  EXPECT_NE(prompt[2], sample[2]);
  expect_rows(cache, sample, 10);
  // Each goes its own way from position 10 on.
  std::vector<float> other(static_cast<size_t>(kWidth), 7.0f);
  cache.store(0, prompt, 10, {other.data(), DType::f32, {1, kWidth}}, {other.data(), DType::f32, {1, kWidth}});
  store(cache, sample, 10, 2);
  expect_rows(cache, sample, 12);
  cache.release(prompt);
  EXPECT_EQ(cache.free_pages(), 3) << "two pages are still the sample's";
  expect_rows(cache, sample, 12);
  cache.release(sample);
  EXPECT_EQ(cache.free_pages(), 6);
}

TEST_F(KvCacheTest, AForkAtAPagesEndNeedsNoPageAndOneInsideItDoes) {
  KvCache cache(*policy_, 3, 4);
  PageTable prompt, at_end, inside;
  ASSERT_TRUE(cache.grow(prompt, 12));
  EXPECT_TRUE(cache.fork(at_end, prompt, 8));
  EXPECT_EQ(at_end.size(), 2u);
  EXPECT_FALSE(cache.fork(inside, prompt, 9));
  EXPECT_TRUE(inside.empty());
  cache.release(prompt);
  EXPECT_EQ(cache.free_pages(), 1);
  PageTable shared = cache.share(at_end, 8);
  cache.release(at_end);
  EXPECT_EQ(cache.free_pages(), 1) << "shared pages stay";
  cache.release(shared);
  EXPECT_EQ(cache.free_pages(), 3);
}

TEST_F(KvCacheTest, RefusesWrongUse) {
  EXPECT_ERROR(KvCache(*policy_, 0), kInternal, "a kv cache of 0 pages");
  EXPECT_ERROR(KvCache(*policy_, 1, 48), kInternal, "of 48 positions");
  KvCache cache(*policy_, 2, 4);
  PageTable table;
  ASSERT_TRUE(cache.grow(table, 4));
  EXPECT_ERROR(store(cache, table, 3, 2), kInternal, "position 5 in 1 pages of 4");
  EXPECT_ERROR(cache.share(table, 5), kInternal, "5 positions of a table of 1 pages");
  PageTable copy = table;
  cache.release(table);
  EXPECT_ERROR(cache.release(copy), kInternal, "given back twice");
}

}  // namespace
}  // namespace cohort
