// Lays out the operands of a product in lanes: panels of columns for B, tiles of rows for A (gemm.h).
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "model/cpu/gemm.h"
#include "model/cpu/gemm_parts.h"
#include "model/cpu/gemm_tile.h"
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

constexpr int64_t kBlock = 16;  // lanes of a transposed square; a cache line of each row
using Lanes = uint32_t __attribute__((vector_size(kBlock * sizeof(uint32_t))));

// Swaps the off-diagonal blocks of 2 x 2 blocks of kStep lanes, in rows i and i + kStep (Eklundh 1972).
template <int kStep, size_t... kLane>
void exchange(Lanes& upper, Lanes& lower, std::index_sequence<kLane...>) {
  const Lanes a = upper, b = lower;
  upper = __builtin_shufflevector(a, b, (kLane & kStep ? kBlock + kLane - kStep : kLane)...);
  lower = __builtin_shufflevector(a, b, (kLane & kStep ? kBlock + kLane : kLane + kStep)...);
}
template <int kStep>
void exchange_rows(Lanes* rows) {
  for (int i = 0; i < kBlock; ++i)
    if (!(i & kStep)) exchange<kStep>(rows[i], rows[i + kStep], std::make_index_sequence<kBlock>());
}
void transpose(Lanes* rows) {
  exchange_rows<8>(rows);
  exchange_rows<4>(rows);
  exchange_rows<2>(rows);
  exchange_rows<1>(rows);
}

#ifdef COHORT_TILES
// The block's part of tiles [begin, end) of y^T, 16 lanes of each of 16 rows.
void pack_wide_tiles(uint32_t* out, const bf16* y, int64_t cols, int64_t lanes, const RowBlock& block, int64_t begin, int64_t end) {
  static_assert(kWideLanes == kBlock && tiles::kRows == kBlock);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t column = tile * kBlock, count = std::min(kBlock, cols - column);
    Lanes square[kBlock] = {};
    for (int64_t lane = 0; 2 * lane < block.rows; ++lane) {
      const bf16* first = y + (block.row + 2 * lane) * cols + column;
      interleave(reinterpret_cast<uint32_t*>(&square[lane]), first, 2 * lane + 1 < block.rows ? first + cols : nullptr, count);
    }
    transpose(square);
    std::memcpy(out + (tile - begin) * lanes * kBlock + block.lane * kBlock, square, sizeof square);
  }
}
#endif

// `count` lanes; all of them, as nearly always, without a call.
void copy_lanes(void* to, const void* from, int64_t count) {
  if (count == kBlock) {
    std::memcpy(to, from, sizeof(Lanes));
  } else {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(uint32_t));
  }
}

// `count` lanes of a row of `cols` from lane `begin` on; the others stay as they are: an f32 each, or two neighbouring bf16.
void load_lanes(Lanes& lanes, const float* row, int64_t begin, int64_t count, int64_t) {
  copy_lanes(&lanes, row + begin, count);
}
void load_lanes(Lanes& lanes, const bf16* row, int64_t begin, int64_t count, int64_t cols) {
  if (kHasBf16Pairs) {
    const int64_t numbers = std::min(2 * count, cols - 2 * begin);  // the last lane of an odd row is half empty
    if (numbers == 2 * kBlock) return copy_lanes(&lanes, row + 2 * begin, kBlock);
    std::memcpy(&lanes, row + 2 * begin, static_cast<size_t>(numbers) * sizeof(bf16));
  } else {
    for (int64_t lane = 0; lane < count; ++lane) lanes[lane] = uint32_t{row[begin + lane].bits} << 16;
  }
}

template <typename T>
void pack_transposed(uint32_t* out, const T* w, int64_t rows, int64_t cols, int64_t begin, int64_t end) {
  static_assert(kVectorLanes % kBlock == 0 || kBlock % kVectorLanes == 0);
  const int64_t lanes = kHasBf16Pairs && sizeof(T) == 2 ? (cols + 1) / 2 : cols;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t count = std::min(kColumns, rows - panel * kColumns);
    const int64_t width = (count + kVectorLanes - 1) / kVectorLanes * kVectorLanes;
    uint32_t* to = out + (panel - begin) * lanes * kColumns;
    for (int64_t block = 0; block < lanes; block += kBlock) {
      const int64_t deep = std::min(kBlock, lanes - block);
      for (int64_t c = 0; c < width; c += kBlock) {
        const int64_t wide = std::min(kBlock, width - c);
        Lanes square[kBlock] = {};
        for (int64_t i = 0; i < std::min(kBlock, count - c); ++i)
          load_lanes(square[i], w + (panel * kColumns + c + i) * cols, block, deep, cols);
        transpose(square);
        for (int64_t lane = 0; lane < deep; ++lane) copy_lanes(to + (block + lane) * width + c, &square[lane], wide);
      }
    }
  }
}

// The way back of load_lanes: `count` lanes to a row from lane `begin` on.
void store_lanes(float* row, const Lanes& lanes, int64_t begin, int64_t count, int64_t) {
  copy_lanes(row + begin, &lanes, count);
}
void store_lanes(bf16* row, const Lanes& lanes, int64_t begin, int64_t count, int64_t cols) {
  if (kHasBf16Pairs) {
    const int64_t numbers = std::min(2 * count, cols - 2 * begin);
    if (numbers == 2 * kBlock) return copy_lanes(row + 2 * begin, &lanes, kBlock);
    std::memcpy(row + 2 * begin, &lanes, static_cast<size_t>(numbers) * sizeof(bf16));
  } else {
    for (int64_t lane = 0; lane < count; ++lane) row[begin + lane].bits = static_cast<uint16_t>(lanes[lane] >> 16);
  }
}

template <typename T>
void unpack_transposed(T* out, const uint32_t* panel, int64_t rows, int64_t cols) {
  const int64_t lanes = kHasBf16Pairs && sizeof(T) == 2 ? (cols + 1) / 2 : cols;
  const int64_t width = (rows + kVectorLanes - 1) / kVectorLanes * kVectorLanes;
  for (int64_t c = 0; c < rows; c += kBlock) {
    const int64_t wide = std::min(kBlock, width - c);
    for (int64_t block = 0; block < lanes; block += kBlock) {
      const int64_t deep = std::min(kBlock, lanes - block);
      Lanes square[kBlock] = {};
      for (int64_t lane = 0; lane < deep; ++lane)
        copy_lanes(&square[lane], panel + (block + lane) * width + c, wide);
      transpose(square);
      for (int64_t i = 0; i < std::min(kBlock, rows - c); ++i)
        store_lanes(out + (c + i) * cols, square[i], block, deep, cols);
    }
  }
}

}  // namespace

void pack_rows(void* panels, Tensor w, int64_t begin, int64_t end) {
  uint32_t* out = static_cast<uint32_t*>(panels);
  if (w.dtype == DType::bf16) {
    pack_transposed(out, w.b16(), w.rows(), w.cols(), begin, end);
  } else {
    pack_transposed(out, w.f32(), w.rows(), w.cols(), begin, end);
  }
}

void unpack_panel(Tensor rows, const void* panel) {
  const uint32_t* from = static_cast<const uint32_t*>(panel);
  if (rows.dtype == DType::bf16) {
    unpack_transposed(rows.b16(), from, rows.rows(), rows.cols());
  } else {
    unpack_transposed(rows.f32(), from, rows.rows(), rows.cols());
  }
}

void unpack_row(float* out, const void* panels, DType w_dtype, int64_t row, int64_t rows, int64_t cols, float scale) {
  const bool pairs = kHasBf16Pairs && w_dtype == DType::bf16;
  const int64_t lanes = pairs ? (cols + 1) / 2 : cols, panel = row / kColumns;
  const int64_t count = std::min(kColumns, rows - panel * kColumns);
  const int64_t width = (count + kVectorLanes - 1) / kVectorLanes * kVectorLanes;
  const uint32_t* from = static_cast<const uint32_t*>(panels) + panel * lanes * kColumns + row % kColumns;
  for (int64_t lane = 0; lane < lanes; ++lane, from += width) {
    if (!pairs) {
      out[lane] = scale * std::bit_cast<float>(*from);
      continue;
    }
    out[2 * lane] = scale * std::bit_cast<float>(*from << 16);
    if (2 * lane + 1 < cols) out[2 * lane + 1] = scale * std::bit_cast<float>(*from & 0xFFFF0000u);
  }
}

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
#endif
  if (y.dtype == DType::bf16) {
    pack_strips<kMaxRows, 32 / kMaxRows>(out, y.b16(), y.cols(), lanes, block, begin, end, kMaxRows);
  } else {
    pack_strips<kMaxRows, 16 / kMaxRows>(out, y.f32(), y.cols(), lanes, block, begin, end, kMaxRows);
  }
}

}  // namespace cohort::gemm
