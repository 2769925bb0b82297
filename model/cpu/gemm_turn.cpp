// A packed weight laid out anew for the product with its transpose (gemm_parts.h): w's rows were columns of B, they become
// its lanes. Where bf16 are multiplied in pairs, panel and result are squares of the same words in another order, and go
// from one to the other in registers; elsewhere, and at ragged edges, by way of the rows themselves.
#include <algorithm>

#include "model/cpu/gemm.h"
#include "model/cpu/gemm_parts.h"
#include "model/cpu/gemm_tile.h"
#include "model/cpu/intrinsics.h"

namespace cohort::gemm {
namespace {

#if defined(__AVX512BF16__)
constexpr int64_t kColumns = kMaxVectors * kVectorLanes;
static_assert(kVectorLanes == 16);

// Sixteen rows of w by sixteen columns: lanes[i] holds the pair of columns 2i, 2i + 1 of each row; becomes eight lanes of
// sixteen columns, rows[m] the pair of rows 2m, 2m + 1 of each column.
[[gnu::always_inline]] inline void turn(__m512i words[8]) {
  const __m512i swap = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
  for (int i = 0; i < 8; ++i) words[i] = _mm512_shuffle_epi8(words[i], swap);  // pairs of rows, two columns each
  __m512i t[8];  // then a transpose of 8 x 8 of these
  for (int i = 0; i < 8; i += 2)
    t[i] = _mm512_unpacklo_epi64(words[i], words[i + 1]), t[i + 1] = _mm512_unpackhi_epi64(words[i], words[i + 1]);
  // t[i], t[i + 1]: columns 2i .. 2i + 4 of rows 0, 2, 4, 6 and of rows 1, 3, 5, 7
  for (int odd = 0; odd < 2; ++odd) {
    const __m512i a = _mm512_shuffle_i64x2(t[odd], t[2 + odd], 0x88), b = _mm512_shuffle_i64x2(t[odd], t[2 + odd], 0xDD);
    const __m512i c = _mm512_shuffle_i64x2(t[4 + odd], t[6 + odd], 0x88), d = _mm512_shuffle_i64x2(t[4 + odd], t[6 + odd], 0xDD);
    words[odd] = _mm512_shuffle_i64x2(a, c, 0x88), words[4 + odd] = _mm512_shuffle_i64x2(a, c, 0xDD);
    words[2 + odd] = _mm512_shuffle_i64x2(b, d, 0x88), words[6 + odd] = _mm512_shuffle_i64x2(b, d, 0xDD);
  }
}

// `rows` of w (n, k), a multiple of 16 as k is, from their panel.
void turn_squares(uint32_t* panels, const uint32_t* from, int64_t rows, int64_t k, int64_t lanes, int64_t lane) {
  for (int64_t column = 0; column < k; column += 16) {
    const int64_t panel = column / kColumns * kColumns, width = std::min(kColumns, k - panel);
    uint32_t* to = panels + panel * lanes + lane * width + column - panel;
    for (int64_t row = 0; row < rows; row += 16, to += 8 * width) {
      __m512i words[8];
      for (int64_t i = 0; i < 8; ++i) words[i] = _mm512_loadu_si512(from + (column / 2 + i) * rows + row);
      turn(words);
      for (int64_t m = 0; m < 8; ++m) _mm512_storeu_si512(to + m * width, words[m]);
    }
  }
}
#endif

}  // namespace

void turn_panel(void* panels, const PackedWeight& w, int64_t panel, int64_t lanes, int64_t lane, void* space) {
#if defined(__AVX512BF16__)
  const int64_t count = std::min(kPanelColumns, w.n - panel * kPanelColumns);
  if (w.dtype == DType::bf16 && count % 16 == 0 && w.k % 16 == 0) {
    const std::byte* from = gemm::panels(w) + static_cast<size_t>(panel) * panel_bytes(w);
    return turn_squares(static_cast<uint32_t*>(panels), reinterpret_cast<const uint32_t*>(from), count, w.k, lanes, lane);
  }
#endif
  const Tensor rows = unpack_panel(space, w, panel);
  pack_columns(panels, rows, lanes, {0, rows.rows(), lane, lanes_of(rows.rows(), lane_dtype(w.dtype))});
}

}  // namespace cohort::gemm
