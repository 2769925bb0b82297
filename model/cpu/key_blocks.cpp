#include "model/cpu/key_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.h"
#include "model/cpu/transpose.h"

namespace cohort::attention {
namespace {

using namespace simd;

F16 load_words(const Word* p) { return load(reinterpret_cast<const float*>(p)); }

template <bool kPair>
F16 multiply_add(Word lane, F16 b, F16 sum) {
#ifdef __AVX512BF16__
  if constexpr (kPair)
    return {_mm512_dpbf16_ps(sum.v, (__m512bh)_mm512_set1_epi32(static_cast<int>(lane)), (__m512bh)b.v)};
#endif
  return fma(splat(std::bit_cast<float>(lane)), b, sum);
}

template <bool kPair, int R, int V>
void dot_tile(float* scores, const Word* q, const Word* const* keys, const Word* const* next, int64_t lanes) {
  F16 sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = splat(0.0f);
  for (int64_t i = 0; i < lanes; ++i) {
    F16 key[V];
    for (int v = 0; v < V; ++v) key[v] = load_words(keys[v] + i * kGroupKeys);
    for (int v = 0; next != nullptr && v < V; ++v) __builtin_prefetch(next[v] + i * kGroupKeys, 0, 3);
    for (int r = 0; r < R; ++r) {
      const Word lane = q[r * lanes + i];
      for (int v = 0; v < V; ++v) sum[r][v] = multiply_add<kPair>(lane, key[v], sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(scores + r * kKeyBlock + v * kLanes, sum[r][v]);
}

// Of one group, lanes [begin, end).
template <bool kPair, int R, int V>
void accumulate_tile(float* sums, const Word* weights, const Word* values, const Word* next, int64_t begin, int64_t end,
                     int64_t padded) {
  F16 sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = load(sums + r * padded + v * kLanes);
  for (int64_t s = begin; s < end; ++s) {
    F16 value[V];
    for (int v = 0; v < V; ++v) value[v] = load_words(values + s * padded + v * kLanes);
    for (int v = 0; next != nullptr && v < V; ++v) __builtin_prefetch(next + s * padded + v * kLanes, 0, 3);
    for (int r = 0; r < R; ++r) {
      const Word lane = weights[r * kKeyBlock + s];
      for (int v = 0; v < V; ++v) sum[r][v] = multiply_add<kPair>(lane, value[v], sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(sums + r * padded + v * kLanes, sum[r][v]);
}

// The pair at `values` with one of its numbers blanked: the other may be anything, even NaN.
void accumulate_half(float* sums, const Word* weights, int64_t rows, const Word* values, Word mask, int64_t padded) {
#ifdef __AVX512BF16__
  const __m512i keep = _mm512_set1_epi32(static_cast<int>(mask));
  for (int64_t d = 0; d < padded; d += kLanes) {
    const F16 value{_mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(values + d), keep))};
    for (int64_t r = 0; r < rows; ++r)
      store(sums + r * padded + d, multiply_add<true>(weights[r * kKeyBlock], value, load(sums + r * padded + d)));
  }
#else
  (void)sums, (void)weights, (void)rows, (void)values, (void)mask, (void)padded;
#endif
}

// Groups of pairs as groups of f32, for processors that do not multiply pairs.
[[maybe_unused]] void widen_keys(Word* out, const Word* group, int64_t lanes) {
  for (int64_t i = 0; i < lanes; ++i)
    for (int64_t j = 0; j < kGroupKeys; ++j) {
      const Word pair = group[i * kGroupKeys + j];
      out[2 * i * kGroupKeys + j] = pair << 16;
      out[(2 * i + 1) * kGroupKeys + j] = pair & 0xFFFF0000u;
    }
}
[[maybe_unused]] void widen_values(Word* out, const Word* group, int64_t padded) {
  for (int64_t s = 0; s < kGroupKeys / 2; ++s)
    for (int64_t d = 0; d < padded; ++d) {
      const Word pair = group[s * padded + d];
      out[2 * s * padded + d] = pair << 16;
      out[(2 * s + 1) * padded + d] = pair & 0xFFFF0000u;
    }
}

}  // namespace

KeyBlock Panels::block(int64_t padded) const {
  KeyBlock block;
  for (int64_t g = 0; g < kBlockGroups; ++g) {
    block.keys[g] = keys + g * kGroupKeys * padded;
    block.values[g] = values + g * kGroupKeys * padded;
  }
  return block;
}

template <typename T>
KeyBlock PackKeys<T>::block(int64_t kv, int64_t base, int64_t count, const Panels& panels) const {
  const int64_t padded = cached_head_size(head_size);
  const KeyRows<T> k = keys.shifted(kv * head_size), v = values.shifted(kv * head_size);
  KeyBlock block = panels.block(padded);
  for (int64_t g = 0; g < kBlockGroups; ++g) {
    const int64_t first = base + g * kGroupKeys, n = std::min(kGroupKeys, base + count - first);
    if (n <= 0) {
      block.keys[g] = block.values[g] = nullptr;
      continue;
    }
    const T* rows[kGroupKeys] = {};
    for (int64_t j = 0; j < n; ++j) rows[j] = k.row(first + j);
    transpose_lanes<T>(const_cast<Word*>(block.keys[g]), rows, n, head_size);
    Word* out = const_cast<Word*>(block.values[g]);
    if constexpr (kPairs<T>) {
      for (int64_t j = 0; j < n; j += 2)
        interleave(out + j / 2 * padded, v.row(first + j), j + 1 < n ? v.row(first + j + 1) : nullptr, head_size, padded);
    } else {
      for (int64_t j = 0; j < n; ++j)
        for (int64_t d = 0; d < padded; d += kLanes)
          store(reinterpret_cast<float*>(out) + j * padded + d,
                load_first(v.row(first + j) + d, std::clamp<int64_t>(head_size - d, 0, kLanes)));
    }
  }
  return block;
}

template <typename T>
KeyBlock CachedKeys<T>::block(int64_t kv, int64_t base, int64_t count, const Panels& panels) const {
  const int64_t padded = cached_head_size(head_size), page_tokens = int64_t{1} << shift;
  KeyBlock block = kInPlace ? KeyBlock{} : panels.block(padded);
  for (int64_t g = 0; g < kBlockGroups; ++g) {
    const int64_t first = base + g * kGroupKeys;
    if (first >= base + count) {
      block.keys[g] = block.values[g] = nullptr;
      continue;
    }
    const int64_t at = pages[first >> shift] * stride + (kv * page_tokens + (first & (page_tokens - 1))) * padded;
    const auto *k = reinterpret_cast<const Word*>(keys + at), *v = reinterpret_cast<const Word*>(values + at);
    if constexpr (kInPlace) {
      block.keys[g] = k;
      block.values[g] = v;
    } else {
      widen_keys(const_cast<Word*>(block.keys[g]), k, (head_size + 1) / 2);
      widen_values(const_cast<Word*>(block.values[g]), v, padded);
    }
  }
  return block;
}

template <typename T>
void load_query_lanes(Word* q, const T* rows, int64_t stride, int64_t positions, int64_t group, int64_t head_size) {
  const int64_t lanes = lanes_of<T>(head_size);
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t g = 0; g < group; ++g, q += lanes) {
      const T* row = rows + p * stride + g * head_size;
      if constexpr (kPairs<T> || sizeof(T) == 4) {
        if (kPairs<T> && head_size % 2 == 1) q[lanes - 1] = 0;
        std::memcpy(q, row, static_cast<size_t>(head_size) * sizeof(T));
      } else {
        for (int64_t d = 0; d < head_size; ++d) q[d] = std::bit_cast<Word>(to_float(row[d]));
      }
    }
}

template <typename T>
void dot_block(float* scores, const Word* q, int64_t rows, const KeyBlock& block, const KeyBlock& next,
               int64_t head_size, int64_t groups) {
  const int64_t lanes = lanes_of<T>(head_size);
  const Word* there[kBlockGroups];  // where the next block has no group, what is in cache already
  for (int64_t g = 0; g < groups; ++g) there[g] = next.keys[g] != nullptr ? next.keys[g] : block.keys[g];
  for (int64_t r = 0; r < rows; r += kRegisterRows) {
    const Word* const* ahead = r == 0 && next.keys[0] != nullptr ? there : nullptr;
    with_tile(std::min(kRegisterRows, rows - r), groups, [&]<int R, int V>() {
      dot_tile<kPairs<T>, R, V>(scores + r * kKeyBlock, q + r * lanes, block.keys, ahead, lanes);
    });
  }
}

template <typename T>
void accumulate_block(float* sums, const Word* weights, int64_t rows, const KeyBlock& block, const KeyBlock& next,
                      int64_t begin, int64_t end, int64_t padded) {
  constexpr int64_t kNumbers = kLaneNumbers<T>, kGroupLanes = kGroupKeys / kNumbers;
  const auto half = [&](int64_t key, Word mask) {
    const int64_t lane = key / kNumbers;
    accumulate_half(sums, weights + lane, rows, block.values[lane / kGroupLanes] + lane % kGroupLanes * padded, mask, padded);
  };
  if (begin >= end) return;
  if (begin % kNumbers != 0) half(begin, 0xFFFF0000u);
  const int64_t last = end / kNumbers;
  for (int64_t lane = lanes_of<T>(begin); lane < last;) {
    const int64_t g = lane / kGroupLanes, first = lane % kGroupLanes, stop = std::min(kGroupLanes, first + last - lane);
    for (int64_t r = 0; r < rows; r += kRegisterRows) {
      const Word* ahead = r == 0 ? next.values[g] : nullptr;
      for (int64_t d = 0; d < padded; d += kRegisterVectors * kLanes)
        with_tile(std::min(kRegisterRows, rows - r), std::min(kRegisterVectors, (padded - d) / kLanes), [&]<int R, int V>() {
          accumulate_tile<kPairs<T>, R, V>(sums + r * padded + d, weights + r * kKeyBlock + g * kGroupLanes,
                                           block.values[g] + d, ahead == nullptr ? nullptr : ahead + d, first, stop, padded);
        });
    }
    lane += stop - first;
  }
  if (end % kNumbers != 0 && end - 1 >= begin) half(end - 1, 0x0000FFFFu);
}

template struct PackKeys<float>;
template struct PackKeys<bf16>;
template struct CachedKeys<float>;
template struct CachedKeys<bf16>;
template void load_query_lanes(Word*, const float*, int64_t, int64_t, int64_t, int64_t);
template void load_query_lanes(Word*, const bf16*, int64_t, int64_t, int64_t, int64_t);
template void dot_block<float>(float*, const Word*, int64_t, const KeyBlock&, const KeyBlock&, int64_t, int64_t);
template void dot_block<bf16>(float*, const Word*, int64_t, const KeyBlock&, const KeyBlock&, int64_t, int64_t);
template void accumulate_block<float>(float*, const Word*, int64_t, const KeyBlock&, const KeyBlock&, int64_t, int64_t, int64_t);
template void accumulate_block<bf16>(float*, const Word*, int64_t, const KeyBlock&, const KeyBlock&, int64_t, int64_t, int64_t);

}  // namespace cohort::attention
