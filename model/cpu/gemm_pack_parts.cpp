// Lays out the operands of a product over rows in parts (gemm_parts.h): panels of columns for B, tiles of rows for A.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "model/cpu/gemm_parts.h"
#include "model/cpu/gemm_tile.h"
#include "model/cpu/transpose.h"
#include "model/cpu/wide_tile.h"

namespace cohort::gemm {
namespace {

constexpr int64_t kColumns = kMaxVectors * kVectorLanes;

// The lanes of `count` columns from one row (f32), or from two neighbouring rows (bf16; `second` null: zeros).
void interleave(uint32_t* out, const float* first, const float*, int64_t count) {
  std::memcpy(out, first, static_cast<size_t>(count) * sizeof(float));
}
void interleave(uint32_t* out, const bf16* first, const bf16* second, int64_t count) {
  if (!kHasBf16Pairs || second == nullptr) {
    const int shift = kHasBf16Pairs ? 0 : 16;  // half a lane, or widened to f32
    for (int64_t c = 0; c < count; ++c) out[c] = uint32_t{first[c].bits} << shift;
  } else {
    for (int64_t c = 0; c < count; ++c) out[c] = first[c].bits | uint32_t{second[c].bits} << 16;
  }
}

// The block's part of strips [begin, end) of kWidth columns, each (lanes, kWidth) from `out` on; the last is padded
// with zero columns to a multiple of `pad` and is that wide. kGroup strips are written together, so that a row is read
// by whole cache lines.
template <int kWidth, int kGroup, typename T>
void pack_strips(uint32_t* out, const T* x, int64_t cols, int64_t lanes, const RowBlock& block, int64_t begin,
                 int64_t end, int64_t pad) {
  constexpr int64_t kDepth = kHasBf16Pairs && sizeof(T) == 2 ? 2 : 1;  // rows a lane takes
  for (int64_t strip = begin; strip < end; strip += kGroup) {
    const T* first = x + block.row * cols;
    int64_t lane = block.lane;
    for (int64_t left = block.rows; left > 0; left -= kDepth, ++lane, first += kDepth * cols) {
      const T* second = kDepth == 2 && left > 1 ? first + cols : nullptr;
      for (int64_t s = strip; s < std::min(end, strip + kGroup); ++s) {
        const int64_t column = s * kWidth, count = std::min<int64_t>(kWidth, cols - column);
        const int64_t width = (count + pad - 1) / pad * pad;
        uint32_t* to = out + (s - begin) * lanes * kWidth + lane * width;
        if (count == kWidth) {
          interleave(to, first + column, second ? second + column : nullptr, kWidth);
        } else {
          interleave(to, first + column, second ? second + column : nullptr, count);
          std::fill(to + count, to + width, 0u);
        }
      }
    }
    for (; lane < block.lane + block.lanes; ++lane)
      for (int64_t s = strip; s < std::min(end, strip + kGroup); ++s) {
        const int64_t count = std::min<int64_t>(kWidth, cols - s * kWidth), width = (count + pad - 1) / pad * pad;
        std::fill_n(out + (s - begin) * lanes * kWidth + lane * width, width, 0u);
      }
  }
}

#ifdef __AVX512BF16__
constexpr int64_t kPairColumns = 32;  // of which a line of memory holds one row
// Rows come from caches that are not the nearest, each line from a page of its own: asked for so many columns in advance.
constexpr int64_t kPairsAhead = 2 * kPairColumns;

__m512i load_pair_row(const bf16* row) {
  __builtin_prefetch(row + kPairsAhead);
  return _mm512_loadu_si512(row);
}
#endif

#ifdef COHORT_TILES
constexpr int64_t kBlock = 16;  // rows and lanes of a tile

// Tiles of 16 columns each, from 32 columns of up to 32 rows of y.
template <bool kAllRows>
void pack_two_wide_tiles(uint32_t* first, uint32_t* second, const bf16* y, int64_t cols, int64_t rows) {
  const auto row = [&](int64_t i) { return kAllRows || i < rows ? load_pair_row(y + i * cols) : _mm512_setzero_si512(); };
  // Unpacking leaves columns 0-3, 8-11, 16-19, 24-27 in one half, 4-7, 12-15, ... in the other.
  const auto half = [&](auto upper) {
    __m512i pairs[kBlock];
#pragma GCC unroll 16
    for (int64_t lane = 0; lane < kBlock; ++lane) {
      const __m512i a = row(2 * lane), b = row(2 * lane + 1);
      pairs[lane] = upper ? _mm512_unpackhi_epi16(a, b) : _mm512_unpacklo_epi16(a, b);
    }
    simd::transpose(pairs);
#pragma GCC unroll 16
    for (int64_t i = 0; i < kBlock; ++i) {
      const int64_t column = i % 8 / 4 * 8 + i % 4 + 4 * upper;
      _mm512_storeu_si512((i < kBlock / 2 ? first : second) + column * kBlock, pairs[i]);
    }
  };
  half(std::false_type()), half(std::true_type());
}

// The block's part of tiles [begin, end) of y^T, 16 lanes of each of 16 rows.
void pack_wide_tiles(uint32_t* out, const bf16* y, int64_t cols, int64_t lanes, const RowBlock& block, int64_t begin, int64_t end) {
  static_assert(kWideLanes == kBlock && tiles::kRows == kBlock);
  int64_t tile = begin;
  for (; tile + 2 <= end && (tile + 2) * kBlock <= cols; tile += 2) {
    uint32_t* first = out + ((tile - begin) * lanes + block.lane) * kBlock;
    const bf16* from = y + block.row * cols + tile * kBlock;
    const auto pack = block.rows == 2 * kBlock ? pack_two_wide_tiles<true> : pack_two_wide_tiles<false>;
    pack(first, first + lanes * kBlock, from, cols, block.rows);
  }
  for (; tile < end; ++tile) {
    const int64_t column = tile * kBlock, count = std::min(kBlock, cols - column);
    __m512i square[kBlock] = {};
    for (int64_t lane = 0; 2 * lane < block.rows; ++lane) {
      const bf16* first = y + (block.row + 2 * lane) * cols + column;
      interleave(reinterpret_cast<uint32_t*>(&square[lane]), first, 2 * lane + 1 < block.rows ? first + cols : nullptr, count);
    }
    simd::transpose(square);
    std::memcpy(out + (tile - begin) * lanes * kBlock + block.lane * kBlock, square, sizeof square);
  }
}
#endif

#if defined(__AVX512BF16__) && !defined(COHORT_TILES)
// The block's part of tiles of 8 columns, as pack_strips lays them out: of four tiles, from four rows, in registers.
void pack_narrow_tiles(uint32_t* out, const bf16* y, int64_t cols, int64_t lanes, const RowBlock& block, int64_t begin, int64_t end) {
  static_assert(kMaxRows == 8 && kHasBf16Pairs);
  const int64_t rows = block.rows / 4 * 4, together = (std::min(end, cols / kMaxRows) - begin) / 4 * 4;
  for (int64_t tile = 0; tile < together; tile += 4) {
    const bf16* from = y + block.row * cols + (begin + tile) * kMaxRows;
    uint32_t* to = out + (tile * lanes + block.lane) * kMaxRows;
    for (int64_t row = 0; row < rows; row += 4, from += 4 * cols, to += 2 * kMaxRows) {
      const __m512i a = load_pair_row(from), b = load_pair_row(from + cols);
      const __m512i c = load_pair_row(from + 2 * cols), d = load_pair_row(from + 3 * cols);
      const __m512i ab = _mm512_unpacklo_epi16(a, b), ab4 = _mm512_unpackhi_epi16(a, b);  // columns 0-3 and 4-7 of each tile
      const __m512i cd = _mm512_unpacklo_epi16(c, d), cd4 = _mm512_unpackhi_epi16(c, d);
      const __m512i ab01 = _mm512_shuffle_i32x4(ab, ab4, 0x44), ab23 = _mm512_shuffle_i32x4(ab, ab4, 0xEE);
      const __m512i cd01 = _mm512_shuffle_i32x4(cd, cd4, 0x44), cd23 = _mm512_shuffle_i32x4(cd, cd4, 0xEE);
      _mm512_storeu_si512(to, _mm512_shuffle_i32x4(ab01, cd01, 0x88));
      _mm512_storeu_si512(to + lanes * kMaxRows, _mm512_shuffle_i32x4(ab01, cd01, 0xDD));
      _mm512_storeu_si512(to + 2 * lanes * kMaxRows, _mm512_shuffle_i32x4(ab23, cd23, 0x88));
      _mm512_storeu_si512(to + 3 * lanes * kMaxRows, _mm512_shuffle_i32x4(ab23, cd23, 0xDD));
    }
  }
  const RowBlock rest{block.row + rows, block.rows - rows, block.lane + rows / 2, block.lanes - rows / 2};
  pack_strips<kMaxRows, 32 / kMaxRows>(out, y, cols, lanes, rest, begin, begin + together, kMaxRows);
  pack_strips<kMaxRows, 32 / kMaxRows>(out + together * lanes * kMaxRows, y, cols, lanes, block, begin + together, end, kMaxRows);
}
#endif

}  // namespace

std::vector<RowBlock> row_blocks(std::span<const SumStep> steps, DType lane_dtype) {
  constexpr int64_t kRows = 32;  // whole lanes
  std::vector<RowBlock> blocks;
  int64_t row = 0, lane = 0;
  for (const SumStep& step : steps) {
    const size_t before = blocks.size();
    for (int64_t at = 0; at < step.rows; at += kRows)
      blocks.push_back({row + at, std::min(kRows, step.rows - at), lane + lanes_of(at, lane_dtype), 0});
    for (size_t b = before; b < blocks.size(); ++b) {
      const int64_t next = b + 1 < blocks.size() ? blocks[b + 1].lane : lane + step_lanes(step.rows, lane_dtype);
      blocks[b].lanes = next - blocks[b].lane;
    }
    row += step.rows, lane += step_lanes(step.rows, lane_dtype);
  }
  return blocks;
}

void pack_columns(void* panels, Tensor x, int64_t lanes, const RowBlock& block) {
  uint32_t* out = static_cast<uint32_t*>(panels);
  if (x.dtype == DType::bf16) {
    pack_strips<kColumns, 1>(out, x.b16(), x.cols(), lanes, block, 0, panels_of(x.cols()), kVectorLanes);
  } else {
    pack_strips<kColumns, 1>(out, x.f32(), x.cols(), lanes, block, 0, panels_of(x.cols()), kVectorLanes);
  }
}

void pack_tiles(void* tiles, Tensor y, int64_t lanes, const RowBlock& block, int64_t begin, int64_t end) {
  uint32_t* out = static_cast<uint32_t*>(tiles);
#ifdef COHORT_TILES
  if (y.dtype == DType::bf16) return pack_wide_tiles(out, y.b16(), y.cols(), lanes, block, begin, end);
#elif defined(__AVX512BF16__)
  if (y.dtype == DType::bf16) return pack_narrow_tiles(out, y.b16(), y.cols(), lanes, block, begin, end);
#endif
  if (y.dtype == DType::bf16) {
    pack_strips<kMaxRows, 32 / kMaxRows>(out, y.b16(), y.cols(), lanes, block, begin, end, kMaxRows);
  } else {
    pack_strips<kMaxRows, 16 / kMaxRows>(out, y.f32(), y.cols(), lanes, block, begin, end, kMaxRows);
  }
}

}  // namespace cohort::gemm
