#include "model/kv_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.h"

namespace cohort {

KvCache::KvCache(const Policy& policy, int64_t pages, int64_t page_tokens) : page_tokens_(page_tokens) {
  const ModelConfig& c = policy.config;
  CHECK(pages > 0 && page_tokens > 0 && std::has_single_bit(static_cast<uint64_t>(page_tokens)),
        "a kv cache of {} pages of {} positions", pages, page_tokens);
  const int64_t width = c.num_kv_heads * c.head_size;
  row_bytes_ = width * static_cast<int64_t>(dtype_size(policy.dtype));
  const size_t keys = arena_.plan("keys", policy.dtype, {c.num_layers, pages, page_tokens, width});
  const size_t values = arena_.plan("values", policy.dtype, {c.num_layers, pages, page_tokens, width});
  arena_.commit(Arena::Pages::lazy);
  keys_ = arena_[keys];
  values_ = arena_[values];
  references_.assign(static_cast<size_t>(pages), 0);
  for (int64_t page = pages - 1; page >= 0; --page) free_.push_back(static_cast<int32_t>(page));
  version = policy.version;
}

std::byte* KvCache::row(Tensor all, int64_t layer, int32_t page, int64_t offset) const {
  return static_cast<std::byte*>(all.data) + ((layer * pages() + page) * page_tokens_ + offset) * row_bytes_;
}

bool KvCache::grow(PageTable& table, int64_t positions) {
  const int64_t wanted = pages_for(positions) - static_cast<int64_t>(table.size());
  if (wanted > free_pages()) return false;
  for (int64_t i = 0; i < wanted; ++i) {
    table.push_back(free_.back());
    free_.pop_back();
    references_[static_cast<size_t>(table.back())] = 1;
  }
  return true;
}

PageTable KvCache::share(const PageTable& table, int64_t positions) {
  const int64_t count = pages_for(positions);
  CHECK(count <= static_cast<int64_t>(table.size()), "kv cache: {} positions of a table of {} pages", positions,
        table.size());
  PageTable shared(table.begin(), table.begin() + count);
  for (int32_t page : shared) ++references_[static_cast<size_t>(page)];
  return shared;
}

bool KvCache::fork(PageTable& result, const PageTable& table, int64_t positions) {
  const int64_t rest = positions % page_tokens_;
  if (rest > 0 && free_.empty()) return false;
  result = share(table, positions - rest);
  if (rest == 0) return true;
  const int32_t from = table.at(result.size());
  grow(result, positions);
  for (int64_t layer = 0; layer < keys_.shape[0]; ++layer)
    for (const Tensor& all : {keys_, values_})
      std::memcpy(row(all, layer, result.back(), 0), row(all, layer, from, 0), static_cast<size_t>(rest * row_bytes_));
  return true;
}

void KvCache::release(PageTable& table) {
  for (int32_t page : table) {
    int32_t& references = references_[static_cast<size_t>(page)];
    CHECK(references > 0, "kv cache: page {} is given back twice", page);
    if (--references == 0) free_.push_back(page);
  }
  table.clear();
}

void KvCache::store(int64_t layer, const PageTable& table, int64_t first, Tensor k, Tensor v) {
  const int64_t count = k.rows();
  CHECK(first + count <= static_cast<int64_t>(table.size()) * page_tokens_ && v.rows() == count &&
            static_cast<int64_t>(k.bytes()) == count * row_bytes_,
        "position {} in {} pages of {}", first + count, table.size(), page_tokens_);
  for (int64_t done = 0; done < count;) {
    const int64_t position = first + done, offset = position % page_tokens_;
    const int64_t rows = std::min(count - done, page_tokens_ - offset);
    const int32_t page = table[static_cast<size_t>(position / page_tokens_)];
    const size_t bytes = static_cast<size_t>(rows * row_bytes_);
    std::memcpy(row(keys_, layer, page, offset), static_cast<const std::byte*>(k.data) + done * row_bytes_, bytes);
    std::memcpy(row(values_, layer, page, offset), static_cast<const std::byte*>(v.data) + done * row_bytes_, bytes);
    done += rows;
  }
}

KeyPages KvCache::layer(int64_t layer) const {
  return {row(keys_, layer, 0, 0), row(values_, layer, 0, 0), page_tokens_};
}

}  // namespace cohort
