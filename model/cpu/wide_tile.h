// The innermost loop of a product of bf16 on a processor with tile registers: up to 32 rows of C and 48 columns held in
// six tiles while the contraction runs once, in order, 16 lanes at a time (tiles.h says how those are added up).
//
// An element's bits depend on its row, its column and the depth only, never on how C is cut into tiles. They differ
// from those of gemm_tile.h, whose chain is one multiply-add after the other. Private to model/cpu.
#pragma once

#include "model/cpu/gemm_tile.h"
#include "model/cpu/tiles.h"

namespace cohort::gemm {

#ifdef COHORT_TILES
inline constexpr bool kHasTiles = true;
#else
inline constexpr bool kHasTiles = false;
#endif

// Rows of C that go through a panel together, and lanes that are multiplied together.
inline constexpr int kWideRows = 2 * tiles::kRows, kWideLanes = tiles::kLanes;
inline constexpr int64_t kStreamSteps = 2;

#ifdef COHORT_TILES

// Tiles 0 to 5 are sums, of up to two times three; 6 is A, 7 is B.
inline tiles::Layout wide_layout(int rows) {
  constexpr int kFull = tiles::kLanes;
  return {{rows, rows, rows, rows, rows, rows, rows, tiles::kLanes}, {kFull, kFull, kFull, kFull, kFull, kFull, kFull, kFull}};
}

// One of the two tiles of rows: `a` is its first row, and the first `done` of its rows have been or will be stored by
// someone else: the last tile of a matrix may begin above the rows that are left.
struct WideRows {
  const std::byte* a;
  std::byte* c;  // its first row
  int done;
};

// What both read. TileArgs has the rest: a and c of it are not used.
struct WideArgs {
  TileArgs of;
  int rows;         // of a tile
  int64_t a_step;   // bytes from 16 lanes of a row to the next 16
  int64_t stream;   // steps of 16 lanes in advance for which to ask for B, and then for `ahead`; 0: from `ahead` alone
  int ahead_lines;  // lines of memory to ask for with each step
};

// Lanes [from, from + count) of a tile of A or B, in place of those that would lie beyond the operand: zeros.
struct alignas(64) WideTail {
  std::byte a[2][tiles::kRows * tiles::kRowBytes];
  std::byte b[tiles::kLanes * kMaxVectors * tiles::kRowBytes];
};

template <int kTiles, int kVectors>
void multiply_lanes(const std::byte* const (&a)[kTiles], int64_t a_row, const std::byte* b) {
  constexpr int64_t kRow = kVectors * tiles::kRowBytes;
  using namespace tiles;
  load<6>(a[0], a_row);
  load<7>(b, kRow), multiply_pairs<0, 6, 7>();
  if constexpr (kVectors > 1) load<7>(b + kRowBytes, kRow), multiply_pairs<1, 6, 7>();
  if constexpr (kVectors > 2) load<7>(b + 2 * kRowBytes, kRow), multiply_pairs<2, 6, 7>();
  if constexpr (kTiles == 2) {  // the way back: the last tile of B is still there
    load<6>(a[1], a_row);
    if constexpr (kVectors > 2) multiply_pairs<5, 6, 7>(), load<7>(b + kRowBytes, kRow);
    if constexpr (kVectors > 1) multiply_pairs<4, 6, 7>(), load<7>(b, kRow);
    multiply_pairs<3, 6, 7>();
  }
}

template <int kVectors>
void store_rows(const WideArgs& t, const WideRows& rows, const std::byte* sums) {
  for (int i = rows.done; i < t.rows; ++i) {
    Floats row[kVectors];
    std::memcpy(row, sums + i * static_cast<int64_t>(sizeof row), sizeof row);
    store_row<kVectors>(rows.c + i * t.of.c_row, row, t.of.columns, t.of.store);
  }
}

template <int kFirst, int kVectors>
void store_tile(const WideArgs& t, const WideRows& rows) {
  using namespace tiles;
  if (t.of.store == Store::set_f32 && rows.done == 0 && t.of.columns == kVectors * kVectorLanes) {
    store<kFirst>(rows.c, t.of.c_row);
    if constexpr (kVectors > 1) store<kFirst + 1>(rows.c + kRowBytes, t.of.c_row);
    if constexpr (kVectors > 2) store<kFirst + 2>(rows.c + 2 * kRowBytes, t.of.c_row);
    return;
  }
  alignas(64) std::byte sums[tiles::kRows * kVectors * kRowBytes];
  constexpr int64_t kRow = kVectors * kRowBytes;
  store<kFirst>(sums, kRow);
  if constexpr (kVectors > 1) store<kFirst + 1>(sums + kRowBytes, kRow);
  if constexpr (kVectors > 2) store<kFirst + 2>(sums + 2 * kRowBytes, kRow);
  store_rows<kVectors>(t, rows, sums);
}

template <int kTiles, int kVectors>
void wide_tile(const WideArgs& t, const WideRows (&rows)[kTiles]) {
  using namespace tiles;
  zero<0>(), zero<1>(), zero<2>();
  if constexpr (kTiles == 2) zero<3>(), zero<4>(), zero<5>();
  const std::byte* a[kTiles];
  for (int i = 0; i < kTiles; ++i) a[i] = rows[i].a;
  constexpr int64_t kStep = kLanes * kVectors * kRowBytes;
  const std::byte *b = t.of.b, *ahead = t.of.ahead;
  const int64_t whole = t.of.lanes / kLanes;
  for (int64_t step = 0; step < whole; ++step) {
    if (t.stream > 0) {
      const int64_t past = step + t.stream - whole;
      const std::byte* lines = past < 0 ? b + t.stream * kStep : ahead + past * kStep;
      for (int line = 0; line < kLanes * kVectors; ++line) __builtin_prefetch(lines + line * 64, 0, 3);
    } else {
      for (int line = 0; line < t.ahead_lines; ++line) __builtin_prefetch(ahead + step * kStep + line * 64, 0, 2);
    }
    multiply_lanes<kTiles, kVectors>(a, t.of.a_row, b);
    b += kStep;
    for (int i = 0; i < kTiles; ++i) a[i] += t.a_step;
  }
  const int64_t left = t.of.lanes % kLanes;
  if (left > 0 || t.of.half) {
    WideTail tail{};
    std::memcpy(tail.b, b, static_cast<size_t>((left + t.of.half) * kVectors * kRowBytes));
    for (int i = 0; i < kTiles; ++i) {
      for (int r = 0; r < t.rows; ++r)
        std::memcpy(tail.a[i] + r * kRowBytes, a[i] + r * t.of.a_row, static_cast<size_t>(4 * left + 2 * t.of.half));
      a[i] = tail.a[i];
    }
    multiply_lanes<kTiles, kVectors>(a, kRowBytes, tail.b);
  }
  store_tile<0, kVectors>(t, rows[0]);
  if constexpr (kTiles == 2) store_tile<3, kVectors>(t, rows[1]);
}

template <int kTiles>
void wide_tile(const WideArgs& t, const WideRows (&rows)[kTiles]) {
  const int vectors = (t.of.columns + kVectorLanes - 1) / kVectorLanes;
  if (vectors == 3) return wide_tile<kTiles, 3>(t, rows);
  if (vectors == 2) return wide_tile<kTiles, 2>(t, rows);
  wide_tile<kTiles, 1>(t, rows);
}

#endif

}  // namespace cohort::gemm
