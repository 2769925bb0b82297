// What attention forward and backward are made of: panels of keys and values as f32, and two small matrix products.
//
// Every product element is one chain of fused multiply-adds in a fixed order, so its bits do not depend on how many
// rows or columns are computed beside it. Private to model/cpu.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "model/cpu/register_tile.h"
#include "model/ops/attention.h"

namespace cohort::attention {

constexpr int64_t kKeyBlock = 64;  // keys a block; blocks begin at absolute positions 0, 64, 128, ...
constexpr int64_t kMaxHeadSize = 256;
constexpr int64_t kTileRows = 48;     // query rows (position x head of the group) that share a block of keys

// The keys or values one query run attends to, in the order of positions: `first_count` rows from `first`, then the
// rows from `second`. Already offset to one kv head; consecutive rows are `stride` elements apart.
template <typename T>
struct KeyRows {
  using Element = T;
  const T* first;
  int64_t first_count;
  const T* second;
  int64_t stride;

  const T* row(int64_t position) const {
    return position < first_count ? first + position * stride : second + (position - first_count) * stride;
  }
  // The same rows, `columns` further right: another kv head.
  KeyRows shifted(int64_t columns) const { return {first + columns, first_count, second + columns, stride}; }
};

// Query positions a tile, for groups of `group` query heads a kv head.
inline int64_t tile_positions(int64_t group) { return group >= kTileRows ? 1 : kTileRows / group; }

// panel (D, 64): column j is key begin + j, j < count; the other columns of the last vector are 0.
template <typename Rows>
void load_transposed(float* panel, const Rows& keys, int64_t begin, int64_t count, int64_t head_size);

// panel (count, padded): row j is key begin + j; columns from head_size to `padded` (a multiple of 16) are 0.
template <typename Rows>
void load_rows(float* panel, const Rows& keys, int64_t begin, int64_t count, int64_t head_size, int64_t padded);

// tile (positions * group, padded) = rows[position][group * head_size].  `rows` at the first head of the group.
template <typename T>
void load_queries(float* tile, const T* rows, int64_t stride, int64_t positions, int64_t group, int64_t head_size,
                  int64_t padded);

// scores[r][j] = sum over d = 0, 1, ... of q[r][d] panel[d][j], for j < 16 vectors.  q (rows, padded)  scores (rows,
// 64)
void dot_rows(float* scores, const float* q, int64_t rows, const float* panel, int64_t head_size, int64_t padded,
              int64_t vectors);

// c[r][:] += sum over s = 0, 1, ... < steps of a[r row_stride + s step_stride] b[s][:].
// c (rows, padded)   b (steps, padded), rows b_stride apart
void accumulate_rows(float* c, const float* a, int64_t row_stride, int64_t step_stride, const float* b, int64_t b_stride,
                     int64_t rows, int64_t steps, int64_t padded);

// Carves pieces, each 64-byte aligned, from one block of the workspace. With no block it only adds up the size.
class Carver {
 public:
  explicit Carver(void* block) : block_(static_cast<std::byte*>(block)) {}
  template <typename T>
  T* take(int64_t count) {
    std::byte* piece = block_ == nullptr ? nullptr : block_ + size_;
    size_ += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return reinterpret_cast<T*>(piece);
  }
  size_t size() const { return size_; }

 private:
  std::byte* block_;
  size_t size_ = 0;
};

// The keys or values of a pack's run, from the pack's k or v.
template <typename T>
KeyRows<T> pack_rows(Tensor rows, const PackRun& run) {
  const T* data = static_cast<const T*>(rows.data);
  const int64_t stride = rows.cols();
  const int64_t prefix = run.prefix_count > 0 ? run.prefix_begin : run.begin;
  return {data + prefix * stride, run.prefix_count, data + run.begin * stride, stride};
}

// What callers must hold: heads in groups, a known head size, matrices of one dtype, runs inside the pack.
void check_heads(const HeadLayout& heads);
void check_rows(const char* name, Tensor t, int64_t rows, int64_t cols, DType dtype);
void check_cache(const KeyPages& cache, std::span<const CachedRun> runs, int64_t rows);
void check_pack(Tensor q, Tensor k, Tensor v, std::span<const PackRun> runs, const HeadLayout& heads);

// How dot = q k becomes a score s in units of log 2, so that softmax is made of powers of 2: s = dot queries, or with
// soft-capping s = cap tanh(dot queries).
struct ScoreScale {
  float scale;    // of q k, before all else
  float queries;  // what q k is multiplied by: scale log2(e) or scale / softcap
  float cap;      // softcap log2(e); 0: off
};
ScoreScale score_scale(const HeadLayout& heads);

// The first key position that a query at `position` sees.
inline int64_t window_begin(int64_t position, int64_t window) {
  return window == 0 ? 0 : std::max<int64_t>(0, position - window + 1);
}

}  // namespace cohort::attention
