// KvCache: keys and values of many sequences, in pages of a few positions that sequences share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/ops/attention.h"
#include "model/policy.h"

namespace cohort {

// One group of keys: completions share a prompt up to its last whole group, and attention finds what they share in the caches.
constexpr int64_t kPageTokens = kCachedGroup;

// The pages of one sequence: position j lies in pages[j / page_tokens].
using PageTable = std::vector<int32_t>;

// A page is written by the sequence that took it; sequences that share it only read the rows that were there when they
// came to share it. Belongs to one policy version.
//
// All of its memory is reserved at once, and taken page by page as they are first written; the pages given back last are
// used first, so that what is taken is the most that was in use at one time.
class KvCache {
 public:
  // page_tokens: a power of two, at least kCachedGroup.
  KvCache(const Policy& policy, int64_t pages, int64_t page_tokens = kPageTokens);

  int64_t pages() const { return static_cast<int64_t>(references_.size()); }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  int64_t page_tokens() const { return page_tokens_; }
  int64_t pages_for(int64_t positions) const { return (positions + page_tokens_ - 1) / page_tokens_; }
  size_t bytes() const { return arena_.bytes(); }

  // Takes the memory of the `pages` pages that are used first now, on all threads, and not while keys are written to
  // them. Before any page is in use. On a GPU it has been taken.
  void take_memory(int64_t pages, const Exec& ex);

  // Makes `table` cover `positions`. False, and nothing taken, when there are not enough free pages.
  bool grow(PageTable& table, int64_t positions);
  // A table that begins with the first `positions` of `table`: whole pages are shared, the rest is copied to a page of
  // its own. False, and nothing taken, when no page is free for the rest.
  bool fork(PageTable& result, const PageTable& table, int64_t positions);
  // The same without a page of its own: to read, and to fork from later.
  PageTable share(const PageTable& table, int64_t positions);
  // Gives the pages back that nobody shares, and empties the table.
  void release(PageTable& table);

  // Written by store_cached and read by attention_cached (ops/attention.h).
  KeyPages layer(int64_t layer) const;

  int64_t version = 0;  // of the policy whose keys these are; forward_cached asserts it

 private:
  std::byte* page(Tensor all, int64_t layer, int64_t page) const;
  Tensor whole_page(Tensor all, int64_t number) const;  // of all layers

  int64_t page_tokens_, kv_heads_;
  size_t position_bytes_;                   // of one kv head's keys, or values
  int64_t taken_ = 0;                       // pages whose memory take_memory has asked for
  std::vector<int32_t> references_, free_;  // of each page; the free ones, the next on top
  Arena arena_{"kv cache"};
  Tensor keys_, values_;  // (pages, L, K, page_tokens cached_head_size(D)) act
};

}  // namespace cohort
