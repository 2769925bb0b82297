#include "model/kv_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.h"
#include "model/device.h"

namespace cohort {

KvCache::KvCache(const Policy& policy, int64_t pages, int64_t page_tokens)
    : page_tokens_(page_tokens), kv_heads_(policy.config.num_kv_heads) {
  const ModelConfig& c = policy.config;
  CHECK(pages > 0 && page_tokens >= kCachedGroup && std::has_single_bit(static_cast<uint64_t>(page_tokens)),
        "a kv cache of {} pages of {} positions", pages, page_tokens);
  const int64_t head = cached_head_size(c.head_size);
  position_bytes_ = static_cast<size_t>(head) * dtype_size(policy.dtype);
  const size_t keys = arena_.plan("keys", policy.dtype, {pages, c.num_layers, kv_heads_, page_tokens * head});
  const size_t values = arena_.plan("values", policy.dtype, {pages, c.num_layers, kv_heads_, page_tokens * head});
  arena_.commit(Arena::Pages::lazy_large, policy.device);
  keys_ = arena_[keys];
  values_ = arena_[values];
  references_.assign(static_cast<size_t>(pages), 0);
  for (int64_t page = pages - 1; page >= 0; --page) free_.push_back(static_cast<int32_t>(page));
  version = policy.version;
}

std::byte* KvCache::page(Tensor all, int64_t layer, int64_t page) const {
  const int64_t head_rows = (page * keys_.shape[1] + layer) * kv_heads_ * page_tokens_;
  return static_cast<std::byte*>(all.data) + static_cast<size_t>(head_rows) * position_bytes_;
}

Tensor KvCache::whole_page(Tensor all, int64_t number) const {
  return {page(all, 0, number), all.dtype, {all.size() / pages()}, all.device};
}

void KvCache::take_memory(int64_t pages, const Exec& ex) {
  CHECK(free_pages() == this->pages() && pages <= free_pages(), "kv cache: memory of {} pages, {} of {} are free",
        pages, free_pages(), this->pages());
  if (pages <= taken_ || keys_.device == Device::cuda) return;
  const size_t size = keys_.bytes() / static_cast<size_t>(this->pages());
  ex.pool->run(2 * (pages - taken_), [&](int64_t task, int) {
    std::memset(page(task % 2 == 0 ? keys_ : values_, 0, taken_ + task / 2), 0, size);
  });
  taken_ = pages;
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
  if (keys_.device == Device::cuda) {  // all of the page: many small copies would take longer
    for (const Tensor& all : {keys_, values_}) copy(whole_page(all, result.back()), whole_page(all, from));
    return true;
  }
  const size_t whole = static_cast<size_t>((rest + kCachedGroup - 1) / kCachedGroup * kCachedGroup) * position_bytes_;
  const size_t head = static_cast<size_t>(page_tokens_) * position_bytes_;
  for (int64_t layer = 0; layer < keys_.shape[1]; ++layer)
    for (const Tensor& all : {keys_, values_})
      for (int64_t kv = 0; kv < kv_heads_; ++kv)
        std::memcpy(page(all, layer, result.back()) + static_cast<size_t>(kv) * head,
                    page(all, layer, from) + static_cast<size_t>(kv) * head, whole);
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

KeyPages KvCache::layer(int64_t layer) const {
  return {page(keys_, layer, 0), page(values_, layer, 0), page_tokens_, keys_.size() / pages()};
}

}  // namespace cohort
