// Causal attention with grouped queries: softmax(q k^T / sqrt(D)) v, row by row; also with Gemma's soft-capped scores
// and a sliding window.
//
// Prefill, decode and training call the same row function, and its sums run over absolute key positions 0, 1, 2, ...
// in one fixed order, so a row's bits depend only on its own prefix: not on the batch, on chunks, or on where the keys
// lie.
#pragma once

#include <cstdint>
#include <span>

#include "model/exec.h"
#include "model/tensor.h"

namespace cohort {

struct HeadLayout {
  int64_t num_heads, num_kv_heads, head_size;
  float scale = 0;  // of q k; 0: 1 / sqrt(head_size)
  float softcap =
      0;  // scaled scores become softcap tanh(score / softcap) (Gemma 2, arXiv:2408.00118, section 2); 0: off
  int64_t window = 0;  // query i sees key j when i - window < j <= i, positions of the sequence; 0: every earlier key
};

// --- sampling: keys and values live in a cache --------------------------------------------------------------------
// Positions of a page lie in groups of this many; a whole group is what may be copied.
constexpr int64_t kCachedGroup = 16;
// Numbers that one position of one kv head takes among the keys, and again among the values.
constexpr int64_t cached_head_size(int64_t head_size) { return (head_size + 15) / 16 * 16; }

// Where a layer's keys and values lie: pages of (K, page_tokens / 16 groups, 16 cached_head_size(D)) act each; the order
// within a group is the backend's.
struct KeyPages {
  void* keys;
  void* values;
  int64_t page_tokens;  // a power of two, at least 16
  int64_t stride;       // numbers from one page to the next
};
// One sequence's share of the batch: query rows [begin, begin + count) stand at positions first_position + i, and
// attend to keys 0 .. position. Position j is number j % page_tokens of page pages[j / page_tokens].
struct CachedRun {
  int64_t begin, count, first_position;
  std::span<const int32_t> pages;
};
// Puts the runs' rows of k and v (T, K D) act into the cache.
void store_cached(const KeyPages& cache, Tensor k, Tensor v, std::span<const CachedRun> runs, const HeadLayout& heads,
                  const Exec& ex);
// q, out (T, H D) act   lse (T, H) f32, or nothing: as attention_pack's
void attention_cached(Tensor out, Tensor q, const KeyPages& cache, std::span<const CachedRun> runs,
                      const HeadLayout& heads, const Exec& ex, Tensor lse = {});

// --- training: a pack of rows with shared prompts ------------------------------------------------------------------
// Rows [begin, begin + count) at positions prefix_count + i. Their keys are rows [prefix_begin, prefix_begin +
// prefix_count) (the shared prompt; count 0 for the prompt itself) and then their own rows up to themselves. Runs
// ascend and do not overlap; a prefix lies before its run. Rows of no run are left alone by the forward pass and have
// gradient 0.
struct PackRun {
  int64_t begin, count, prefix_begin, prefix_count;
};
// q, out (T, H D) act   k, v (T, K D) act   lse (T, H) f32: log-sum-exp of each row's scaled and capped scores, for
// the backward pass. Equal bits to attention_cached on the same rows.
void attention_pack(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, std::span<const PackRun> runs,
                    const HeadLayout& heads, const Exec& ex);
// dq (T, H D), dk, dv (T, K D), all f32, overwritten.   dout (T, H D) act
void attention_pack_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k,
                             Tensor v, std::span<const PackRun> runs, const HeadLayout& heads, const Exec& ex);

}  // namespace cohort
