#include "model/cpu/attention_tiles.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/check.h"
#include "model/cpu/transpose.h"
#include "model/cpu/vector_math.h"

namespace cohort::attention {
namespace {

using namespace simd;

#if COHORT_VECTOR_AVX512

// Columns [0, 16) of the panel from sixteen keys; `n` of them exist.
void transpose_keys(float* panel, const float* const keys[16], int64_t n, int64_t head_size) {
  for (int64_t d = 0; d < head_size; d += 16) {
    const int64_t lanes = lanes_left(head_size, d);
    __m512i rows[16];
    for (int64_t j = 0; j < 16; ++j)
      rows[j] = j < n ? _mm512_maskz_loadu_epi32(static_cast<__mmask16>(first_lanes(lanes)), keys[j] + d)
                      : _mm512_setzero_si512();
    transpose(rows);
    for (int64_t i = 0; i < lanes; ++i) _mm512_storeu_si512(panel + (d + i) * kKeyBlock, rows[i]);
  }
}

// bf16 keys move two to a word, which halves the shuffles.
void transpose_keys(float* panel, const bf16* const keys[16], int64_t n, int64_t head_size) {
  for (int64_t d = 0; d < head_size; d += 32) {
    const int64_t halves = std::min<int64_t>(32, head_size - d);
    const __mmask32 mask = halves == 32 ? 0xFFFFFFFFu : (1u << halves) - 1;
    __m512i rows[16];
    for (int64_t j = 0; j < 16; ++j)
      rows[j] = j < n ? _mm512_maskz_loadu_epi16(mask, keys[j] + d) : _mm512_setzero_si512();
    transpose(rows);
    const auto store_pair = [&](int i) {
      float* to = panel + (d + 2 * i) * kKeyBlock;
      _mm512_storeu_si512(to, _mm512_slli_epi32(rows[i], 16));
      if (2 * i + 1 < halves)
        _mm512_storeu_si512(to + kKeyBlock, _mm512_and_si512(rows[i], _mm512_set1_epi32(static_cast<int>(0xFFFF0000))));
    };
    if (halves == 32) {
      for (int i = 0; i < 16; ++i) store_pair(i);
    } else {
      for (int i = 0; 2 * i < halves; ++i) store_pair(i);
    }
  }
}

#else

template <typename T>
void transpose_keys(float* panel, const T* const keys[16], int64_t n, int64_t head_size) {
  for (int64_t d = 0; d < head_size; ++d)
    for (int64_t j = 0; j < 16; ++j) panel[d * kKeyBlock + j] = j < n ? to_float(keys[j][d]) : 0.0f;
}

#endif

template <int R, int V>
void dot_tile(float* scores, const float* q, int64_t padded, const float* panel, int64_t head_size) {
  F16 sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = splat(0.0f);
  for (int64_t d = 0; d < head_size; ++d) {
    F16 key[V];
    for (int v = 0; v < V; ++v) key[v] = load(panel + d * kKeyBlock + v * kLanes);
    for (int r = 0; r < R; ++r) {
      const F16 query = splat(q[r * padded + d]);
      for (int v = 0; v < V; ++v) sum[r][v] = fma(query, key[v], sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(scores + r * kKeyBlock + v * kLanes, sum[r][v]);
}

template <int R, int V>
void accumulate_tile(float* c, const float* a, int64_t row_stride, int64_t step_stride, const float* b, int64_t b_stride,
                     int64_t steps, int64_t padded) {
  F16 sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = load(c + r * padded + v * kLanes);
  for (int64_t s = 0; s < steps; ++s) {
    F16 column[V];
    for (int v = 0; v < V; ++v) column[v] = load(b + s * b_stride + v * kLanes);
    for (int r = 0; r < R; ++r) {
      const F16 weight = splat(a[r * row_stride + s * step_stride]);
      for (int v = 0; v < V; ++v) sum[r][v] = fma(weight, column[v], sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(c + r * padded + v * kLanes, sum[r][v]);
}

}  // namespace

template <typename Rows>
void load_transposed(float* panel, const Rows& keys, int64_t begin, int64_t count, int64_t head_size) {
  using T = typename Rows::Element;
  for (int64_t j = 0; j < count; j += kLanes) {
    const int64_t n = lanes_left(count, j);
    const T* rows[kLanes] = {};
    for (int64_t i = 0; i < n; ++i) rows[i] = keys.row(begin + j + i);
    transpose_keys(panel + j, rows, n, head_size);
  }
}

template <typename Rows>
void load_rows(float* panel, const Rows& keys, int64_t begin, int64_t count, int64_t head_size, int64_t padded) {
  using T = typename Rows::Element;
  for (int64_t j = 0; j < count; ++j) {
    const T* row = keys.row(begin + j);
    for (int64_t d = 0; d < padded; d += kLanes)
      store(panel + j * padded + d, load_first(row + d, lanes_left(head_size, d)));
  }
}

template <typename T>
void load_queries(float* tile, const T* rows, int64_t stride, int64_t positions, int64_t group, int64_t head_size,
                  int64_t padded) {
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t g = 0; g < group; ++g, tile += padded) {
      const T* row = rows + p * stride + g * head_size;
      each_vector(head_size, [&](int64_t d, auto lanes) { store(tile + d, load_first(row + d, lanes)); });
      for (int64_t d = round_up(head_size, kLanes); d < padded; d += kLanes) store(tile + d, splat(0.0f));
    }
  }
}

void dot_rows(float* scores, const float* q, int64_t rows, const float* panel, int64_t head_size, int64_t padded,
              int64_t vectors) {
  for (int64_t r = 0; r < rows; r += kRegisterRows) {
    with_tile(std::min(kRegisterRows, rows - r), vectors, [&]<int R, int V>() {
      dot_tile<R, V>(scores + r * kKeyBlock, q + r * padded, padded, panel, head_size);
    });
  }
}

void accumulate_rows(float* c, const float* a, int64_t row_stride, int64_t step_stride, const float* b, int64_t b_stride,
                     int64_t rows, int64_t steps, int64_t padded) {
  for (int64_t r = 0; r < rows; r += kRegisterRows) {
    for (int64_t d = 0; d < padded; d += kRegisterVectors * kLanes) {
      with_tile(std::min(kRegisterRows, rows - r), std::min(kRegisterVectors, (padded - d) / kLanes),
                [&]<int R, int V>() {
                  accumulate_tile<R, V>(c + r * padded + d, a + r * row_stride, row_stride, step_stride, b + d,
                                        b_stride, steps, padded);
                });
    }
  }
}

void check_heads(const HeadLayout& heads) {
  CHECK(heads.num_kv_heads > 0 && heads.num_heads > 0 && heads.num_heads % heads.num_kv_heads == 0,
        "attention: {} heads on {} kv heads; the first must be a multiple of the second", heads.num_heads,
        heads.num_kv_heads);
  CHECK(heads.head_size > 0 && heads.head_size <= kMaxHeadSize, "attention: head size {}; allowed are 1 to {}",
        heads.head_size, kMaxHeadSize);
  CHECK(heads.scale >= 0 && std::isfinite(heads.scale),
        "attention: scores scaled by {}; must be positive, or 0 for 1 / sqrt(head size)", heads.scale);
  CHECK(heads.softcap >= 0 && std::isfinite(heads.softcap), "attention: softcap {}; must be positive, or 0 for none",
        heads.softcap);
  CHECK(heads.window >= 0, "attention: a window of {} keys; must be positive, or 0 for none", heads.window);
}

void check_rows(const char* name, Tensor t, int64_t rows, int64_t cols, DType dtype) {
  CHECK(t.size() == rows * cols && (rows == 0 || t.cols() == cols) && t.dtype == dtype && dtype != DType::i32,
        "attention: {} is {} of {} x {}; wanted {} of {} x {}", name, dtype_name(t.dtype), t.rows(), t.cols(),
        dtype_name(dtype), rows, cols);
}

void check_cache(const KeyPages& cache, std::span<const CachedRun> runs, int64_t rows) {
  CHECK(cache.keys != nullptr && cache.values != nullptr && cache.page_tokens >= kCachedGroup &&
            std::has_single_bit(static_cast<uint64_t>(cache.page_tokens)),
        "attention: a cache without keys or values, or of pages of {} positions", cache.page_tokens);
  CHECK(cache.stride > 0, "attention: pages {} numbers apart", cache.stride);
  for (const CachedRun& run : runs) {
    CHECK(run.begin >= 0 && run.count >= 0 && run.begin + run.count <= rows && run.first_position >= 0,
          "attention: rows [{}, {}) at position {} of {} rows", run.begin, run.begin + run.count, run.first_position, rows);
    CHECK(run.first_position + run.count <= static_cast<int64_t>(run.pages.size()) * cache.page_tokens,
          "attention: {} positions in {} pages of {}", run.first_position + run.count, run.pages.size(),
          cache.page_tokens);
  }
}

void check_pack(Tensor q, Tensor k, Tensor v, std::span<const PackRun> runs, const HeadLayout& heads) {
  check_heads(heads);
  const int64_t T = q.rows(), kv_width = heads.num_kv_heads * heads.head_size;
  check_rows("q", q, T, heads.num_heads * heads.head_size, q.dtype);
  check_rows("k", k, T, kv_width, q.dtype);
  check_rows("v", v, T, kv_width, q.dtype);
  int64_t end = 0;
  for (const PackRun& run : runs) {
    CHECK(run.begin >= end && run.count >= 0 && run.begin + run.count <= T,
          "attention: a run of rows [{}, {}) after row {} in a pack of {}; runs must ascend", run.begin,
          run.begin + run.count, end, T);
    CHECK(run.prefix_count == 0 ||
              (run.prefix_count > 0 && run.prefix_begin >= 0 && run.prefix_begin + run.prefix_count <= run.begin),
          "attention: prefix rows [{}, {}) of a run that begins at {}", run.prefix_begin,
          run.prefix_begin + run.prefix_count, run.begin);
    end = run.begin + run.count;
  }
}

ScoreScale score_scale(const HeadLayout& heads) {
  const float root = std::sqrt(static_cast<float>(heads.head_size));
  const float scale = heads.scale == 0 ? 1.0f / root : heads.scale;
  if (heads.softcap > 0) return {scale, scale / heads.softcap, heads.softcap * kLog2e};
  return {scale, heads.scale == 0 ? kLog2e / root : scale * kLog2e, 0};
}

template void load_transposed(float*, const KeyRows<float>&, int64_t, int64_t, int64_t);
template void load_transposed(float*, const KeyRows<bf16>&, int64_t, int64_t, int64_t);
template void load_rows(float*, const KeyRows<float>&, int64_t, int64_t, int64_t, int64_t);
template void load_rows(float*, const KeyRows<bf16>&, int64_t, int64_t, int64_t, int64_t);
template void load_queries(float*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t);
template void load_queries(float*, const bf16*, int64_t, int64_t, int64_t, int64_t, int64_t);

}  // namespace cohort::attention
