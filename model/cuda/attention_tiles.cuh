// What attention's kernels share: rows of tiles, keys wherever they lie, scores. Private to model/cuda.
//
// Where tensor cores are not used a block of kTileThreads works on kRowsAtOnce rows, eight lanes of one warp each: lane l
// has the scores of keys l, l + 8, ... of a block, and kD / 8 neighbouring dimensions of the row's sums. What a row computes
// depends on its own lanes only, never on which rows share the tile.
#pragma once

#include <cstdint>
#include <type_traits>

#include "model/cuda/attention_plan.h"
#include "model/cuda/platform/platform.cuh"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {

constexpr int kRowLanes = 8, kRowsAtOnce = 16, kTileThreads = kRowsAtOnce * kRowLanes;
static_assert(kTileRows % kRowsAtOnce == 0 && kTileKeys % kRowsAtOnce == 0);
constexpr int kPad = 8;  // numbers between rows in shared memory, so that rows begin in other banks

// The parts of a plan on the device.
struct PlanView {
  const int32_t *rows, *positions, *first_pages, *first_partials, *pages;
  const QuerySet* sets;
  const QueryTile *whole, *split;
  const KeyTile* key_tiles;
  const Seer* seers;
};

// dot = q k becomes a score in units of log 2: dot queries, or cap tanh(dot queries).
struct HeadShape {
  int heads, kv_heads, group, head_size, window;
  float scale, queries, cap;
  bool vectors;  // rows of D numbers are aligned to eight of them

  __device__ __forceinline__ int window_begin(int position) const {
    return window == 0 || position < window ? 0 : position - window + 1;
  }
  __device__ __forceinline__ float score(float dot) const { return cap > 0 ? cap * tanhf(dot * queries) : dot * queries; }
};

// Where keys and values lie: number_of(set, kv, j) is the first number of key j of a set.
template <typename T>
struct PackKeys {
  const T *keys, *values;
  int width, head_size;  // K D, D

  __device__ __forceinline__ int64_t number_of(const QuerySet& set, int kv, int j) const {
    const int64_t row = j < set.prefix_count ? set.prefix_begin + j : set.begin + (j - set.prefix_count);
    return row * width + kv * head_size;
  }
};
template <typename T>
struct CachedKeys {
  const T *keys, *values;
  const int32_t* pages;
  int shift, cached_size;  // a page has 2^shift positions
  int64_t stride;

  __device__ __forceinline__ int64_t number_in(int32_t page, int kv, int in_page) const {
    return page * stride + ((static_cast<int64_t>(kv) << shift) + in_page) * cached_size;
  }
  __device__ __forceinline__ int64_t number_of(const QuerySet& set, int kv, int j) const {
    return number_in(pages[set.first_page + (j >> shift)], kv, j & ((1 << shift) - 1));
  }
};

// Eight numbers from `from`, of which those at `left` and beyond are 0.
template <typename T>
__device__ __forceinline__ void load_eight(float (&to)[8], const T* from, int left, bool vectors) {
  if (vectors && left >= 8) {
    constexpr int kCount = 16 / sizeof(T);
#pragma unroll
    for (int i = 0; i < 8; i += kCount) {
      float some[kCount];
      load(some, from + i);
#pragma unroll
      for (int j = 0; j < kCount; ++j) to[i + j] = some[j];
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) to[i] = i < left ? to_f32(from[i]) : 0.0f;
}
template <typename T>
__device__ __forceinline__ void store_eight(T* to, const float (&values)[8]) {
  constexpr int kCount = 16 / sizeof(T);
#pragma unroll
  for (int i = 0; i < 8; i += kCount) {
    float some[kCount];
#pragma unroll
    for (int j = 0; j < kCount; ++j) some[j] = values[i + j];
    store(to + i, some);
  }
}

// One row of D numbers into kD of shared memory, zeros behind them (no row: nothing but zeros), by a row's eight lanes.
template <int kD, typename To, typename From>
__device__ __forceinline__ void load_row(To* to, const From* from, int lane, const HeadShape& shape) {
#pragma unroll
  for (int d = lane * 8; d < kD; d += kRowLanes * 8) {
    float values[8] = {};
    if (from != nullptr && d < shape.head_size) load_eight(values, from + d, shape.head_size - d, shape.vectors);
    store_eight(to + d, values);
  }
}

// `count` rows of D numbers, at row_at(i), into rows of kD + kPad in shared memory, by the whole block.
template <int kD, typename T, typename RowAt>
__device__ __forceinline__ void load_rows(T* to, int count, const HeadShape& shape, const RowAt& row_at) {
#pragma unroll 1
  for (int i = threadIdx.x / kRowLanes; i < count; i += kRowsAtOnce)
    load_row<kD>(to + i * (kD + kPad), row_at(i), threadIdx.x % kRowLanes, shape);
}

// The sum over dimensions, in order.
template <int kD, typename A, typename B>
__device__ __forceinline__ float dot(const A* a, const B* b) {
  float sum = 0;
#pragma unroll 2
  for (int d = 0; d < kD; d += 8) {
    float x[8], y[8];
    load_eight(x, a + d, 8, true);
    load_eight(y, b + d, 8, true);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum = __fmaf_rn(x[i], y[i], sum);
  }
  return sum;
}

// sums[c] += factor row[c] for the lane's kD / 8 dimensions.
template <int kD, typename T>
__device__ __forceinline__ void add_row(float (&sums)[kD / kRowLanes], float factor, const T* row, int lane) {
#pragma unroll
  for (int c = 0; c < kD / kRowLanes; c += 8) {
    float values[8];
    load_eight(values, row + lane * (kD / kRowLanes) + c, 8, true);
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[c + i] = __fmaf_rn(factor, values[i], sums[c + i]);
  }
}

// Over the lanes of a row, neighbours of one warp: every lane gets the result.
template <int kLanes = kRowLanes>
__device__ __forceinline__ float row_max(float value) {
#pragma unroll
  for (int apart = kLanes / 2; apart > 0; apart /= 2) value = fmaxf(value, __shfl_xor_sync(kWholeWarp, value, apart));
  return value;
}
template <int kLanes = kRowLanes>
__device__ __forceinline__ float row_sum(float value) {
#pragma unroll
  for (int apart = kLanes / 2; apart > 0; apart /= 2) value += __shfl_xor_sync(kWholeWarp, value, apart);
  return value;
}

// Row `at` of a set. A dead one, behind the set's last, is at position -1 and sees nothing.
struct TileRow {
  int query, head, position;
  int64_t row;  // of q
  bool live;

  // The number of its head among all heads of q's rows.
  __device__ __forceinline__ int64_t head_row(const HeadShape& shape) const { return row * shape.heads + head; }
};
__device__ __forceinline__ TileRow row_of_set(int at, const QuerySet& set, int kv, const PlanView& plan,
                                              const HeadShape& shape) {
  TileRow row{0, 0, -1, 0, at < set.queries * shape.group};
  if (!row.live) return row;
  row.query = set.first_query + at / shape.group;
  row.head = kv * shape.group + at % shape.group;
  row.position = plan.positions[row.query];
  row.row = plan.rows[row.query];
  return row;
}

// Keys [begin, end) that rows [first, first + count) of a set see, as far as the set has them.
struct KeyRange {
  int begin, end;

  __device__ __forceinline__ void clip_to(int split) {
    constexpr int kSplitSize = static_cast<int>(kSplitKeys);
    begin = max(begin, split * kSplitSize);
    end = min(end, (split + 1) * kSplitSize);
  }
};
__device__ __forceinline__ KeyRange keys_of_rows(int first, int count, const QuerySet& set, const PlanView& plan,
                                                 const HeadShape& shape) {
  const int last = min(first + count, set.queries * shape.group) - 1;
  if (last < first) return {0, 0};
  const int32_t* positions = plan.positions + set.first_query;
  return {shape.window_begin(positions[first / shape.group]), positions[last / shape.group] + 1};
}

// body(T{}, dimension): the kernels' instantiation for a head size.
template <typename Body>
void with_head_size(int64_t head_size, const Body& body) {
  CHECK(head_size >= 1 && head_size <= 256, "attention: a head size of {}; at most 256", head_size);
  if (head_size <= 64) return body(std::integral_constant<int, 64>());
  if (head_size <= 128) return body(std::integral_constant<int, 128>());
  body(std::integral_constant<int, 256>());
}

// Host side of both directions.
HeadShape head_shape(const HeadLayout& heads, bool vectors);
PlanView plan_view(const char* op, const AttentionPlan& plan, Tensor device_plan, const HeadLayout& heads, bool cached);

}  // namespace cohort::cuda
