// How large a generator's KV cache is: what its sequences can need, cut to what the user allows or to a share of the
// memory that is free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/config.h"
#include "model/tensor.h"

namespace cohort {

// Without rollout.kv_cache_gb the cache of a rank takes at most this part of the memory that is free for the rank: what
// comes after it (training activations, gradients) needs memory too.
constexpr double kFreeMemoryShare = 0.5;

// Bytes of the keys and values of one page, all layers.
int64_t kv_page_bytes(const ModelConfig& model, DType dtype, int64_t page_tokens);

struct CacheNeed {
  int64_t sequences;    // decoded together
  int64_t positions;    // of the longest of them, prompt and completion
  int64_t page_tokens, page_bytes;
};

// What limits the cache, if anything does.
struct CacheLimit {
  double gb = 0;                      // rollout.kv_cache_gb, in 10^9 bytes; 0: by the memory that is free
  std::optional<int64_t> free_bytes;  // for this rank; nothing: unknown, and no limit
  const char* key = "rollout.kv_cache_gb";  // what the user knows `gb` as
};

struct CacheSize {
  CacheNeed need;
  CacheLimit limit;
  int64_t pages;

  int64_t bytes() const { return pages * need.page_bytes; }
  int64_t whole_pages() const { return (need.positions + need.page_tokens - 1) / need.page_tokens; }  // of the longest sequence
  int64_t whole_bytes() const { return whole_pages() * need.page_bytes; }
  bool holds_one() const { return pages >= whole_pages(); }
  bool holds_all() const { return pages >= need.sequences * whole_pages(); }
  // Why the longest sequence does not fit, naming the key and the numbers; empty when it does.
  std::string shortage() const;
  // Fails where there is a shortage: exit code 2 (kv_cache_gb is too small) or 6 (too little memory is free).
  void require_one() const;
  // Exit code 6 when it would take more than what is free, as kv_cache_gb lets it: to be asked where it is all that is
  // about to be taken, at a start. Memory is taken as pages are used, so that nothing else would say so in time.
  void require_free() const;
  // "KV cache: up to 64 sequences of 320 tokens, 944 MB; memory is taken as pages are used"
  std::string text() const;
};

// min(need, limit) in whole pages; may be too small for one sequence.
CacheSize choose_cache_size(const CacheNeed& need, const CacheLimit& limit);

}  // namespace cohort
