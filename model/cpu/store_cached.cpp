// Puts new keys and values into the cache (ops/attention.h), in the groups that key_blocks.h describes.
#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.h"
#include "model/ops/gpu.h"
#include "model/cpu/key_blocks.h"
#include "model/ops/attention.h"

namespace cohort {
namespace {

using namespace attention;

constexpr int64_t kMostTaskRuns = 8;

template <typename T>
void ask_to_write(const T* from, int64_t numbers) {
  for (int64_t i = 0; i < numbers; i += 64 / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(from + i, 1);
}

// Key or value number j of a group of f32.
void put_key(float* group, int64_t j, const float* row, int64_t head_size) {
  for (int64_t d = 0; d < head_size; ++d) group[d * kGroupKeys + j] = row[d];
}
void put_value(float* group, int64_t j, const float* row, int64_t head_size) {
  std::memcpy(group + j * cached_head_size(head_size), row, static_cast<size_t>(head_size) * sizeof(float));
}

// The same of bf16, in pairs: of a key's neighbours, and of neighbouring values.
void put_key(bf16* group, int64_t j, const bf16* row, int64_t head_size) {
  auto* words = reinterpret_cast<Word*>(group);
  for (int64_t d = 0; d + 1 < head_size; d += 2) std::memcpy(words + d / 2 * kGroupKeys + j, row + d, sizeof(Word));
  if (head_size % 2 == 1)
    words[head_size / 2 * kGroupKeys + j] = std::bit_cast<uint16_t>(row[head_size - 1]);
}
void put_value(bf16* group, int64_t j, const bf16* row, int64_t head_size) {
  bf16* pairs = group + j / 2 * 2 * cached_head_size(head_size);
#if COHORT_VECTOR_AVX512
  for (int64_t d = 0; d < head_size; d += simd::kLanes) {
    const auto lanes = static_cast<__mmask16>(simd::first_lanes(simd::lanes_left(head_size, d)));
    const __m512i value = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, row + d));
    const __m512i shifted = j % 2 == 0 ? value : _mm512_slli_epi32(value, 16);
    const __mmask32 halves = j % 2 == 0 ? 0x55555555u : 0xAAAAAAAAu;
    _mm512_storeu_si512(pairs + 2 * d, _mm512_mask_mov_epi16(_mm512_loadu_si512(pairs + 2 * d), halves, shifted));
  }
#else
  for (int64_t d = 0; d < head_size; ++d) pairs[2 * d + j % 2] = row[d];
#endif
}

}  // namespace

void store_cached(const KeyPages& cache, Tensor k, Tensor v, std::span<const CachedRun> runs, const HeadLayout& heads,
                  const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::store_cached(cache, k, v, runs, heads, *ex.gpu);
  check_heads(heads);
  check_rows("k", k, k.rows(), heads.num_kv_heads * heads.head_size, k.dtype);
  check_rows("v", v, k.rows(), heads.num_kv_heads * heads.head_size, k.dtype);
  check_cache(cache, runs, k.rows());
  const int64_t D = heads.head_size, K = heads.num_kv_heads, padded = cached_head_size(D), page = cache.page_tokens;
  const auto go = [&]<typename T>(T) {
    // Where the group of a position lies, of kv head `kv`.
    const auto group_of = [&](const CachedRun& run, int64_t position, int64_t kv) {
      const int64_t offset = position % page;
      return run.pages[static_cast<size_t>(position / page)] * cache.stride + (kv * page + offset / kGroupKeys * kGroupKeys) * padded;
    };
    const auto store = [&](const CachedRun& run) {
      for (int64_t i = 0; i < run.count; ++i)
        for (int64_t kv = 0; kv < K; ++kv) {
          const int64_t position = run.first_position + i, group = group_of(run, position, kv), row = ((run.begin + i) * K + kv) * D;
          put_key(static_cast<T*>(cache.keys) + group, position % kGroupKeys, static_cast<const T*>(k.data) + row, D);
          put_value(static_cast<T*>(cache.values) + group, position % kGroupKeys, static_cast<const T*>(v.data) + row, D);
        }
    };
    // A key's numbers lie in as many lines of memory, which the last pass has driven out of the caches.
    const auto ask = [&](const CachedRun& run) {
      for (int64_t kv = 0; kv < K && run.count > 0; ++kv) {
        const int64_t group = group_of(run, run.first_position, kv), pairs = run.first_position % kGroupKeys / 2 * 2 * padded;
        ask_to_write(static_cast<const T*>(cache.keys) + group, kGroupKeys * padded);
        ask_to_write(static_cast<const T*>(cache.values) + group + pairs, 2 * padded);
      }
    };
    const auto count = static_cast<int64_t>(runs.size());
    const int64_t together = std::clamp<int64_t>(count / (4 * ex.pool->size()), 1, kMostTaskRuns);
    ex.pool->run((count + together - 1) / together, [&](int64_t task, int) {
      for (int64_t r = task * together; r < std::min(count, (task + 1) * together); ++r) {
        if (r + 1 < count) ask(runs[static_cast<size_t>(r) + 1]);
        store(runs[static_cast<size_t>(r)]);
      }
    });
  };
  if (k.dtype == DType::bf16) return go(bf16{});
  go(float{});
}

}  // namespace cohort
