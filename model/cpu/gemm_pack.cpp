// Lays out weights as panels of columns for B (gemm.h), and panels as rows again.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "model/cpu/gemm.h"
#include "model/cpu/gemm_tile.h"
#include "model/cpu/transpose.h"

namespace cohort::gemm {
namespace {

constexpr int64_t kColumns = kMaxVectors * kVectorLanes;

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
constexpr bool kPaired = kHasBf16Pairs && sizeof(T) == 2;
template <typename T>
int64_t lanes_in(int64_t cols) {
  return kPaired<T> ? (cols + 1) / 2 : cols;
}
int64_t width_of(int64_t rows) { return (rows + kVectorLanes - 1) / kVectorLanes * kVectorLanes; }

#if COHORT_VECTOR_AVX512
// Squares of `count` rows of which each lane is there, and as it lies in the row: they are turned in registers alone.
template <typename T>
int64_t whole_squares(int64_t cols, int64_t count) {
  return (sizeof(T) == 4 || kPaired<T>) && count == kBlock ? cols * static_cast<int64_t>(sizeof(T)) / 64 : 0;
}
// Such a square, its lines `from_line` and then `to_line` bytes apart.
[[gnu::always_inline]] inline void turn_square(void* to, int64_t to_line, const void* from, int64_t from_line) {
  __m512i words[kBlock];
#pragma GCC unroll 16
  for (int64_t i = 0; i < kBlock; ++i) words[i] = _mm512_loadu_si512(static_cast<const std::byte*>(from) + i * from_line);
  simd::transpose(words);
#pragma GCC unroll 16
  for (int64_t i = 0; i < kBlock; ++i) _mm512_storeu_si512(static_cast<std::byte*>(to) + i * to_line, words[i]);
}
#endif

// Columns [c, c + 16) of a panel `width` wide: lanes of `count` rows of w.
template <typename T>
void pack_strip_of(uint32_t* panel, int64_t width, int64_t c, const T* w, int64_t count, int64_t cols) {
  const int64_t lanes = lanes_in<T>(cols), wide = std::min(kBlock, width - c);
  int64_t block = 0;
#if COHORT_VECTOR_AVX512
  const auto row = cols * static_cast<int64_t>(sizeof(T));
  for (const int64_t whole = whole_squares<T>(cols, count); block < whole * kBlock; block += kBlock)
    turn_square(panel + block * width + c, width * 4, reinterpret_cast<const std::byte*>(w) + block * 4, row);
#endif
  for (; block < lanes; block += kBlock) {
    const int64_t deep = std::min(kBlock, lanes - block);
    Lanes square[kBlock] = {};
    for (int64_t i = 0; i < count; ++i) load_lanes(square[i], w + i * cols, block, deep, cols);
    transpose(square);
    for (int64_t lane = 0; lane < deep; ++lane) copy_lanes(panel + (block + lane) * width + c, &square[lane], wide);
  }
}

template <typename T>
void pack_transposed(uint32_t* out, const T* w, int64_t rows, int64_t cols, int64_t begin, int64_t end) {
  static_assert(kVectorLanes % kBlock == 0 || kBlock % kVectorLanes == 0);
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t count = std::min(kColumns, rows - panel * kColumns);
    uint32_t* to = out + (panel - begin) * lanes_in<T>(cols) * kColumns;
    for (int64_t c = 0; c < count; c += kBlock)
      pack_strip_of(to, width_of(count), c, w + (panel * kColumns + c) * cols, std::min(kBlock, count - c), cols);
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

// The way back of pack_strip_of.
template <typename T>
void unpack_strip_of(T* out, const uint32_t* panel, int64_t width, int64_t c, int64_t count, int64_t cols) {
  const int64_t lanes = lanes_in<T>(cols), wide = std::min(kBlock, width - c);
  int64_t block = 0;
#if COHORT_VECTOR_AVX512
  const auto row = cols * static_cast<int64_t>(sizeof(T));
  for (const int64_t whole = whole_squares<T>(cols, count); block < whole * kBlock; block += kBlock)
    turn_square(reinterpret_cast<std::byte*>(out) + block * 4, row, panel + block * width + c, width * 4);
#endif
  for (; block < lanes; block += kBlock) {
    const int64_t deep = std::min(kBlock, lanes - block);
    Lanes square[kBlock] = {};
    for (int64_t lane = 0; lane < deep; ++lane) copy_lanes(&square[lane], panel + (block + lane) * width + c, wide);
    transpose(square);
    for (int64_t i = 0; i < count; ++i) store_lanes(out + i * cols, square[i], block, deep, cols);
  }
}

template <typename T>
void unpack_transposed(T* out, const uint32_t* panel, int64_t rows, int64_t cols) {
  for (int64_t c = 0; c < rows; c += kBlock)
    unpack_strip_of(out + c * cols, panel, width_of(rows), c, std::min(kBlock, rows - c), cols);
}

// Rows [first, first + count) of those of a panel, and how wide that is.
struct StripPlace {
  uint32_t* panel;
  int64_t width, first, count;
};
StripPlace strip_place(const PackedWeight& w, int64_t panel, int64_t strip) {
  const int64_t rows = std::min(kColumns, w.n - panel * kColumns), first = strip * kBlock;
  std::byte* at = panels(w) + static_cast<size_t>(panel) * panel_bytes(w);
  return {reinterpret_cast<uint32_t*>(at), width_of(rows), first, std::min(kBlock, rows - first)};
}

}  // namespace

const int64_t kStripRows = kBlock;

int64_t strips_of(const PackedWeight& w, int64_t panel) { return (std::min(kColumns, w.n - panel * kColumns) + kBlock - 1) / kBlock; }

size_t strip_rows_bytes(const PackedWeight& w) { return static_cast<size_t>(kBlock * w.k) * dtype_size(w.dtype); }

PanelPart part_of_strip(const PackedWeight& w, int64_t panel, int64_t strip, int64_t from, int64_t count) {
  const int64_t first = panel * kColumns + strip * kBlock;
  return part_of_rows(first, std::min({w.n, first + kBlock, (panel + 1) * kColumns}), w.k, from, count);
}

Tensor unpack_strip(void* space, const PackedWeight& w, int64_t panel, int64_t strip) {
  const StripPlace at = strip_place(w, panel, strip);
  const Tensor rows(space, w.dtype, {at.count, w.k});
  if (w.dtype == DType::bf16) {
    unpack_strip_of(rows.b16(), at.panel, at.width, at.first, at.count, w.k);
  } else {
    unpack_strip_of(rows.f32(), at.panel, at.width, at.first, at.count, w.k);
  }
  return rows;
}

void pack_strip(PackedWeight& w, Tensor rows, int64_t panel, int64_t strip) {
  const StripPlace at = strip_place(w, panel, strip);
  if (w.dtype == DType::bf16) {
    pack_strip_of(at.panel, at.width, at.first, rows.b16(), at.count, w.k);
  } else {
    pack_strip_of(at.panel, at.width, at.first, rows.f32(), at.count, w.k);
  }
}

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

}  // namespace cohort::gemm
