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
    for (int64_t layer = 0; layer < 2; ++layer)
      store(cache, layer, table, first, rows(first, count, static_cast<float>(layer + 1)), rows(first, count, -1.0f));
  }
  void store(KvCache& cache, int64_t layer, const PageTable& table, int64_t first, std::vector<float> k,
             std::vector<float> v) const {
    const int64_t count = static_cast<int64_t>(k.size()) / kWidth;
    const CachedRun run{0, count, first, table};
    ExecOwner owner(1);
    store_cached(cache.layer(layer), {k.data(), DType::f32, {count, kWidth}}, {v.data(), DType::f32, {count, kWidth}},
                 {&run, 1}, {4, 2, 16}, owner.exec());
  }
  // Number d of position p of kv head h: keys in columns of sixteen, values in rows (f32).
  void expect_rows(const KvCache& cache, const PageTable& table, int64_t count) const {
    for (int64_t layer = 0; layer < 2; ++layer) {
      const KeyPages pages = cache.layer(layer);
      for (int64_t p = 0; p < count; ++p) {
        const std::vector<float> k = rows(p, 1, static_cast<float>(layer + 1)), v = rows(p, 1, -1.0f);
        const int64_t page = table[static_cast<size_t>(p / pages.page_tokens)], offset = p % pages.page_tokens;
        for (int64_t c = 0; c < kWidth; ++c) {
          const int64_t head = page * pages.stride + c / 16 * pages.page_tokens * 16 + offset / 16 * 256, j = offset % 16, d = c % 16;
          ASSERT_EQ(static_cast<const float*>(pages.keys)[head + d * 16 + j], k[static_cast<size_t>(c)]) << p;
          ASSERT_EQ(static_cast<const float*>(pages.values)[head + j * 16 + d], v[static_cast<size_t>(c)]) << p;
        }
      }
    }
  }

  static constexpr int64_t kWidth = 2 * 16;
  std::unique_ptr<Policy> policy_;
};

TEST_F(KvCacheTest, MemoryTakenBeforehandChangesNothing) {
  ExecOwner owner(2);
  KvCache cache(*policy_, 3, 16);
  EXPECT_THROW(cache.take_memory(4, owner.exec()), Error);
  cache.take_memory(2, owner.exec());
  PageTable table;
  ASSERT_TRUE(cache.grow(table, 33));
  store(cache, table, 0, 33);
  EXPECT_THROW(cache.take_memory(3, owner.exec()), Error) << "pages are in use";
  expect_rows(cache, table, 33);
  cache.release(table);
  cache.take_memory(3, owner.exec());
  ASSERT_TRUE(cache.grow(table, 40));
  store(cache, table, 0, 40);
  expect_rows(cache, table, 40);
}

// As a decode step does: one position of each of many sequences; and some that have nothing new, though their pages are full.
TEST_F(KvCacheTest, OneCallStoresOfManySequences) {
  constexpr int64_t kSequences = 40;
  for (const int threads : {1, 3}) {
    KvCache cache(*policy_, 3 * kSequences, 16);
    std::vector<PageTable> tables(kSequences);
    for (int64_t i = 0; i < kSequences; ++i) {
      ASSERT_TRUE(cache.grow(tables[static_cast<size_t>(i)], i + 1));
      tables[static_cast<size_t>(i)].shrink_to_fit();
      store(cache, tables[static_cast<size_t>(i)], 0, i);
    }
    const auto is_full = [](int64_t i) { return i % 16 == 15; };
    for (int64_t i = 0; i < kSequences; ++i)
      if (is_full(i)) store(cache, tables[static_cast<size_t>(i)], i, 1);
    ExecOwner owner(threads);
    for (int64_t layer = 0; layer < 2; ++layer) {
      std::vector<float> k, v;
      std::vector<CachedRun> runs;
      for (int64_t i = 0; i < kSequences; ++i) {
        const PageTable& table = tables[static_cast<size_t>(i)];
        if (is_full(i)) {
          runs.push_back({static_cast<int64_t>(k.size()) / kWidth, 0, i + 1, table});
          continue;
        }
        runs.push_back({static_cast<int64_t>(k.size()) / kWidth, 1, i, table});
        const std::vector<float> key = rows(i, 1, static_cast<float>(layer + 1)), value = rows(i, 1, -1.0f);
        k.insert(k.end(), key.begin(), key.end()), v.insert(v.end(), value.begin(), value.end());
      }
      const int64_t count = static_cast<int64_t>(k.size()) / kWidth;
      store_cached(cache.layer(layer), {k.data(), DType::f32, {count, kWidth}}, {v.data(), DType::f32, {count, kWidth}}, runs, {4, 2, 16}, owner.exec());
    }
    for (int64_t i = 0; i < kSequences; ++i) expect_rows(cache, tables[static_cast<size_t>(i)], i + 1);
  }
}

TEST_F(KvCacheTest, GrowsByWholePagesAndTakesNothingWhenThereAreTooFew) {
  KvCache cache(*policy_, 5, 16);
  PageTable a, b;
  EXPECT_TRUE(cache.grow(a, 1));
  EXPECT_EQ(a.size(), 1u);
  EXPECT_TRUE(cache.grow(a, 16));
  EXPECT_EQ(a.size(), 1u);
  EXPECT_TRUE(cache.grow(a, 33));
  EXPECT_EQ(a.size(), 3u);
  EXPECT_FALSE(cache.grow(b, 48));
  EXPECT_TRUE(b.empty());
  EXPECT_EQ(cache.free_pages(), 2);
  cache.release(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(cache.free_pages(), 5);
}

TEST_F(KvCacheTest, AForkSharesWholePagesAndCopiesTheRest) {
  KvCache cache(*policy_, 6, 16);
  PageTable prompt, sample;
  ASSERT_TRUE(cache.grow(prompt, 39));
  store(cache, prompt, 0, 39);
  ASSERT_TRUE(cache.fork(sample, prompt, 39));
  EXPECT_EQ(cache.free_pages(), 2);
  EXPECT_TRUE(std::equal(prompt.begin(), prompt.begin() + 2, sample.begin()));
  EXPECT_NE(prompt[2], sample[2]);
  expect_rows(cache, sample, 39);
  // Each goes its own way from position 39 on.
  const std::vector<float> other(static_cast<size_t>(kWidth), 7.0f);
  store(cache, 0, prompt, 39, other, other);
  store(cache, sample, 39, 2);
  expect_rows(cache, sample, 41);
  cache.release(prompt);
  EXPECT_EQ(cache.free_pages(), 3) << "two pages are still the sample's";
  expect_rows(cache, sample, 41);
  cache.release(sample);
  EXPECT_EQ(cache.free_pages(), 6);
}

TEST_F(KvCacheTest, AForkAtAPagesEndNeedsNoPageAndOneInsideItDoes) {
  KvCache cache(*policy_, 3, 16);
  PageTable prompt, at_end, inside;
  ASSERT_TRUE(cache.grow(prompt, 48));
  EXPECT_TRUE(cache.fork(at_end, prompt, 32));
  EXPECT_EQ(at_end.size(), 2u);
  EXPECT_FALSE(cache.fork(inside, prompt, 33));
  EXPECT_TRUE(inside.empty());
  cache.release(prompt);
  EXPECT_EQ(cache.free_pages(), 1);
  PageTable shared = cache.share(at_end, 32);
  cache.release(at_end);
  EXPECT_EQ(cache.free_pages(), 1) << "shared pages stay";
  cache.release(shared);
  EXPECT_EQ(cache.free_pages(), 3);
}

TEST_F(KvCacheTest, RefusesWrongUse) {
  EXPECT_ERROR(KvCache(*policy_, 0), kInternal, "a kv cache of 0 pages");
  EXPECT_ERROR(KvCache(*policy_, 1, 48), kInternal, "of 48 positions");
  EXPECT_ERROR(KvCache(*policy_, 1, 8), kInternal, "of 8 positions");
  KvCache cache(*policy_, 2, 16);
  PageTable table;
  ASSERT_TRUE(cache.grow(table, 16));
  EXPECT_ERROR(store(cache, table, 15, 2), kInternal, "17 positions in 1 pages of 16");
  EXPECT_ERROR(cache.share(table, 17), kInternal, "17 positions of a table of 1 pages");
  PageTable copy = table;
  cache.release(table);
  EXPECT_ERROR(cache.release(copy), kInternal, "given back twice");
}

}  // namespace
}  // namespace cohort
