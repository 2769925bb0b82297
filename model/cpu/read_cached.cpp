// Which parts of the cache the next attention will read (ops/attention.h).
#include <bit>
#include <span>

#include "model/cpu/attention_tiles.h"
#include "model/ops/attention.h"

namespace cohort {

void read_ahead_cached(const KeyPages& cache, DType dtype, std::span<const CachedRun> runs, const HeadLayout& heads,
                       const Exec& ex) {
  if (ex.read_ahead == nullptr) return;
  ReadAhead& ahead = *ex.read_ahead;
  ahead.clear();
  const int64_t page_tokens = cache.page_tokens, K = heads.num_kv_heads;
  const size_t position = static_cast<size_t>(cached_head_size(heads.head_size)) * dtype_size(dtype);
  const size_t head = position * static_cast<size_t>(page_tokens);
  std::span<const int32_t> before;  // the pages of the run before: what both share is asked for once
  for (const CachedRun& run : runs) {
    const int64_t end = run.first_position + run.count;
    const int64_t first_page = attention::window_begin(run.first_position, heads.window) / page_tokens;
    for (int64_t p = first_page; p * page_tokens < end; ++p) {
      const auto i = static_cast<size_t>(p);
      const int32_t page = run.pages[i];
      if (i < before.size() && before[i] == page) continue;
      const auto groups = (std::min(page_tokens, end - p * page_tokens) + kCachedGroup - 1) / kCachedGroup;
      const size_t used = static_cast<size_t>(groups * kCachedGroup) * position;
      for (const void* all : {cache.keys, cache.values})
        for (int64_t kv = 0; kv < K; ++kv)
          if (!ahead.add(static_cast<const std::byte*>(all) + static_cast<size_t>(page * K + kv) * head, used)) return;
    }
    before = run.pages;
  }
}

}  // namespace cohort
