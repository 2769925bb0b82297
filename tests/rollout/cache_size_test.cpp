// The KV cache is what its sequences need, cut to the key or to a share of free memory, and says so.
#include "rollout/cache_size.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "rollout/generator.h"
#include "tests/core/expect_error.h"
#include "tests/model/tiny_model.h"

namespace cohort {
namespace {

constexpr CacheNeed kNeed = {.sequences = 10, .positions = 100, .page_tokens = 16, .page_bytes = 1'000'000};  // 7 pages each

TEST(CacheSize, IsWhatTheSequencesNeed) {
  const CacheSize size = choose_cache_size(kNeed, {});
  EXPECT_EQ(size.pages, 70);
  EXPECT_EQ(size.bytes(), 70'000'000);
  EXPECT_TRUE(size.holds_all());
  size.require_one();
  EXPECT_EQ(size.text(), "KV cache: up to 10 sequences of 100 tokens, 70 MB; memory is taken as pages are used");
  EXPECT_EQ(choose_cache_size(kNeed, {.gb = 5}).pages, 70) << "more could not be used";
}

TEST(CacheSize, TheKeyCutsIt) {
  const CacheSize size = choose_cache_size(kNeed, {.gb = 0.0305, .free_bytes = 1});
  EXPECT_EQ(size.pages, 30);
  EXPECT_FALSE(size.holds_all());
  EXPECT_EQ(size.text(), "KV cache: 480 tokens of up to 10 sequences of 100, 30 MB (rollout.kv_cache_gb); memory is taken as pages are used");
}

TEST(CacheSize, WithoutTheKeyHalfOfFreeMemoryCutsIt) {
  const CacheSize size = choose_cache_size(kNeed, {.free_bytes = 80'000'000});
  EXPECT_EQ(size.pages, 40);
  EXPECT_NE(size.text().find("half of the 80 MB that is free for this rank; rollout.kv_cache_gb sets it"), std::string::npos);
  EXPECT_TRUE(choose_cache_size(kNeed, {.free_bytes = 140'000'000}).holds_all());
}

TEST(CacheSize, OneThatHoldsNoWholeSequenceIsRefused) {
  EXPECT_ERROR(choose_cache_size(kNeed, {.gb = 0.0065}).require_one(), kUsage,
               "rollout.kv_cache_gb is 0.0065, and one sequence of up to 100 tokens needs 0.007 GB of KV cache");
  EXPECT_ERROR(choose_cache_size(kNeed, {.gb = 0.0065, .key = "--kv-cache-gb"}).require_one(), kUsage, "--kv-cache-gb is");
  EXPECT_ERROR(choose_cache_size(kNeed, {.free_bytes = 13'000'000}).require_one(), kResources,
               "one sequence of up to 100 tokens needs 0.007 GB of KV cache, and half of the 0.013 GB that is free for this rank "
               "is 0.0065 GB; set rollout.kv_cache_gb");
  choose_cache_size(kNeed, {.free_bytes = 14'000'000}).require_one();
}

TEST(CacheSize, AShortageIsToldWithoutFailing) {
  EXPECT_EQ(choose_cache_size(kNeed, {.gb = 0.007}).shortage(), "");
  EXPECT_EQ(choose_cache_size(kNeed, {.gb = 0.0065, .key = "--kv-cache-gb"}).shortage().rfind("--kv-cache-gb is 0.0065, and one", 0), 0u);
}

TEST(CacheSize, MoreThanIsFreeIsRefusedWhereItWouldBeTaken) {
  choose_cache_size(kNeed, {.gb = 0.05, .free_bytes = 50'000'000}).require_free();
  choose_cache_size(kNeed, {.gb = 5, .free_bytes = 70'000'000}).require_free();  // it never takes more than it needs
  choose_cache_size(kNeed, {.gb = 5}).require_free();                            // nothing is known
  choose_cache_size(kNeed, {.free_bytes = 10}).require_free();                   // a share of what is free, by itself
  EXPECT_ERROR(choose_cache_size(kNeed, {.gb = 0.06, .free_bytes = 50'000'000}).require_free(), kResources,
               "rollout.kv_cache_gb is 0.06, and the KV cache would take 0.06 GB of it, but 0.05 GB is free for this rank");
}

TEST(CacheSize, AGeneratorRefusesItToo) {
  ExecOwner owner(1);
  const auto policy = tiny_policy(DType::f32, 9, owner.exec());
  GeneratorConfig c;
  c.max_completion_length = 30;
  c.kv_cache.gb = 1e-6;
  EXPECT_ERROR(Generator(*policy, c, 50), kUsage, "rollout.kv_cache_gb is 1e-06, and one sequence of up to 80 tokens");
  c.kv_cache = {.free_bytes = 1000};
  EXPECT_ERROR(Generator(*policy, c, 50), kResources, "rollout.kv_cache_gb");
}

TEST(CacheSize, APageIsWhatTheCacheAllocates) {
  ExecOwner owner(1);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto policy = tiny_policy(dtype, 9, owner.exec());
    EXPECT_EQ(static_cast<int64_t>(KvCache(*policy, 5, 16).bytes()), 5 * kv_page_bytes(policy->config, dtype, 16));
  }
}

// Pages of memory of this process that are in use.
int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  int64_t size = 0, resident = 0;
  in >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(CacheSize, MemoryIsTakenAsPagesAreUsed) {
  const auto policy = make_policy(tiny_config(), DType::f32, 1);
  const int64_t before = resident_bytes();
  KvCache cache(*policy, 64 * 1024, 16);  // 1 GB
  ASSERT_GT(cache.bytes(), size_t{500} << 20);
  EXPECT_LT(resident_bytes() - before, int64_t{64} << 20);
}

}  // namespace
}  // namespace cohort
