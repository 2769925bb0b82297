// What attention's forward pass multiplies: keys and values in groups of sixteen, laid out in lanes of 32 bits as in
// gemm.h: one f32, or two neighbouring bf16 where the processor multiplies such pairs (AVX512-BF16).
//
//   keys of a group     (lanes of D, 16)       word [i][j] is lane i of key j      (a pair: dimensions 2i and 2i + 1)
//   values of a group   (lanes of 16, padded)  word [s][d] is dimension d, lane s  (a pair: keys 2s and 2s + 1)
//
// Scores and weighted sums are then products without a shuffle. The cache keeps its groups like this, bf16 always in
// pairs, so that a decode step reads them where they lie; a pack's keys are laid out block by block.
// Every product element is one chain of multiply-adds in a fixed order, so its bits do not depend on what is computed
// beside it; with tile registers (tiles.h) a chain of the sums of 16 lanes of q and k, or of a group's 8 of weights and
// values. Private to model/cpu.
#pragma once

#include <cstdint>
#include <span>

#include "model/cpu/attention_tiles.h"
#include "model/cpu/gemm_tile.h"
#include "model/cpu/tiles.h"
#include "model/cpu/vector_math.h"
#include "model/ops/attention.h"

namespace cohort::attention {

constexpr int64_t kGroupKeys = kCachedGroup, kBlockGroups = kKeyBlock / kGroupKeys;
using Word = uint32_t;

// Whether numbers of this type are multiplied in pairs, and how many stand in a lane.
template <typename T>
inline constexpr bool kPairs = sizeof(T) == 2 && gemm::kHasBf16Pairs;
template <typename T>
inline constexpr int64_t kLaneNumbers = kPairs<T> ? 2 : 1;
template <typename T>
constexpr int64_t lanes_of(int64_t numbers) {
  return (numbers + kLaneNumbers<T> - 1) / kLaneNumbers<T>;
}

// Whether they are multiplied in tile registers.
template <typename T>
inline constexpr bool kInTiles = kPairs<T> && tiles::kPresent;

// Sixty-four keys and values of one kv head; groups past the last key are null.
struct KeyBlock {
  const Word* keys[kBlockGroups];
  const Word* values[kBlockGroups];
};

// Asks memory for the first `count` keys and values of a block of bf16.
inline void ask_for(const KeyBlock& block, int64_t count, int64_t padded) {
  for (int64_t g = 0; g * kGroupKeys < count; ++g)
    for (int64_t word = 0; word < kGroupKeys * padded / 2; word += 16) {
      __builtin_prefetch(block.keys[g] + word, 0, 2);
      __builtin_prefetch(block.values[g] + word, 0, 2);
    }
}

// Where a block is laid out that does not lie in memory as it is needed.
struct Panels {
  Word *keys, *values;
  static constexpr int64_t words(int64_t padded) { return kKeyBlock * padded; }  // of either
  KeyBlock block(int64_t padded) const;
};

// Keys and values of a pack's run; block() lays out keys [base, base + count) of kv head `kv`.
template <typename T>
struct PackKeys {
  KeyRows<T> keys, values;  // of kv head 0
  int64_t head_size;
  static constexpr bool kInPlace = false;
  KeyBlock block(int64_t kv, int64_t base, int64_t count, const Panels& panels) const;
};

// The same of a sequence in the cache.
template <typename T>
struct CachedKeys {
  const T *keys, *values;
  const int32_t* pages;
  int shift;       // a page has 2^shift positions
  int64_t stride;  // numbers from one page to the next
  int64_t head_size;
  static constexpr bool kInPlace = sizeof(T) == 4 || kPairs<T>;
  KeyBlock block(int64_t kv, int64_t base, int64_t count, const Panels& panels) const;
};

// q (positions x group, lanes of D): the queries of `group` heads at `rows`, positions `stride` numbers apart.
template <typename T>
void load_query_lanes(Word* q, const T* rows, int64_t stride, int64_t positions, int64_t group, int64_t head_size);

// scores[r][j] = q[r] k[j], j < 16 groups; asks memory for `next`, which will be read in the same way.  scores (rows, 64)
template <typename T>
void dot_block(float* scores, const Word* q, int64_t rows, const KeyBlock& block, const KeyBlock& next,
               int64_t head_size, int64_t groups);

// Row r of `weights` (rows, 64 words) begins with the lanes of 64 numbers: sums[r] += weights[r][j] v[j] for keys j of
// [begin, end) in order, no other value touched. Asks memory for `next`.  sums (rows, padded)
template <typename T>
void accumulate_block(float* sums, const Word* weights, int64_t rows, const KeyBlock& block, const KeyBlock& next,
                      int64_t begin, int64_t end, int64_t padded);

#ifdef COHORT_TILES
// The same of bf16 in tile registers, of a thread that has a Session with tile_layout(R), in tiles of R rows: rows up to
// R - 1 after the last may be read, and of scores also written.
tiles::Layout tile_layout(int64_t rows);
void dot_tiles(float* scores, const Word* q, int64_t rows, int64_t tile_rows, const KeyBlock& block, const KeyBlock& next,
               int64_t head_size, int64_t groups);
// A weight of a key that its row does not see is 0, and then the value must be finite; outside [begin, end) it is not read.
void accumulate_tiles(float* sums, const Word* weights, int64_t rows, int64_t tile_rows, const KeyBlock& block,
                      const KeyBlock& next, int64_t begin, int64_t end, int64_t padded);
// Whether the first `count` values are.
bool finite_values(const KeyBlock& block, int64_t count, int64_t padded);
#endif

// Puts sixteen numbers, `index` of them before, into a row of lanes.
template <typename T>
inline void store_lanes(Word* row, int64_t index, simd::F16 x) {
#ifdef __AVX512BF16__
  if constexpr (kPairs<T>) {
    const __m256bh rounded = _mm512_cvtneps_pbh(x.v);
    std::memcpy(reinterpret_cast<bf16*>(row) + index, &rounded, sizeof rounded);
    return;
  }
#endif
  simd::store(reinterpret_cast<float*>(row) + index, x);
}

}  // namespace cohort::attention
