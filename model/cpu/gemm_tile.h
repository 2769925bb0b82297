// The innermost loop of every matrix product: a tile of C held in registers while the contraction runs once, in order.
//
// Each element of C is one chain of multiply-adds over the lanes of the contraction, from the first to the last, begun
// at zero. The chain is the same in every instantiation below, so an element's bits depend on its row, its column and
// the depth only, never on how C is cut into tiles.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "model/cpu/intrinsics.h"
#include "model/tensor.h"

namespace cohort::gemm {

// The widest vector of floats that this folder is compiled for.
#if defined(__AVX512F__)
inline constexpr int kVectorLanes = 16;
#elif defined(__AVX2__) && defined(__FMA__)
inline constexpr int kVectorLanes = 8;
#else
inline constexpr int kVectorLanes = 4;
#endif
typedef float Floats __attribute__((vector_size(4 * kVectorLanes)));

// A tile has as many sums as the registers hold beside a row of B: 24 of 32, or 12 of 16.
inline constexpr int kMaxRows = kVectorLanes == 16 ? 8 : 4;
inline constexpr int kMaxVectors = 3;

#ifdef __AVX512BF16__
inline constexpr bool kHasBf16Pairs = true;
#else
inline constexpr bool kHasBf16Pairs = false;
#endif

// A tile of few rows waits for its panel to come from memory: it asks for it this many bytes in advance. A tile of more
// rows asks for part of the panel that comes next (TileArgs::ahead).
inline constexpr int kStreamRows = 4, kStreamAhead = 4096;

enum class Store : uint8_t { set_f32, add_f32, set_bf16 };

struct TileArgs {
  const std::byte* a;     // first row's first lane
  int64_t a_row, a_lane;  // bytes from one row / lane to the next
  int64_t lanes;          // whole lanes of the contraction
  bool half;              // half a lane follows: the last bf16 of an odd depth, rows in place
  const std::byte* b;     // panel: (lanes + half) x vectors
  const std::byte* ahead;  // a line of memory to ask for with each row of b; steps as b does
  std::byte* c;           // first row's first column
  int64_t c_row;          // bytes from one row of C to the next
  int columns;            // columns of C that exist, at most vectors * kVectorLanes
  Store store;
};

inline Floats load_floats(const std::byte* from) {
  Floats v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

inline Floats broadcast(uint32_t lane) {
#if defined(__AVX512F__)
  return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(lane)));
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(lane)));
#else
  return _mm_castsi128_ps(_mm_set1_epi32(static_cast<int>(lane)));
#endif
}

// sum + a b in each lane: one product of f32, or (kPairs) the sum of two products of bf16 by VDPBF16PS, which rounds to
// nearest even and takes and gives denormals as zero.
template <bool kPairs>
inline Floats multiply_add(Floats a, Floats b, Floats sum) {
#ifdef __AVX512BF16__
  if constexpr (kPairs) return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#endif
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, sum);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_fmadd_ps(a, b, sum);
#else
  return _mm_add_ps(_mm_mul_ps(a, b), sum);
#endif
}

inline void store_bf16(std::byte* to, Floats v) {
#ifdef __AVX512BF16__
  const __m256bh rounded = _mm512_cvtneps_pbh(v);
#else
  bf16 rounded[kVectorLanes];
  for (int i = 0; i < kVectorLanes; ++i) rounded[i] = to_bf16(v[i]);
#endif
  std::memcpy(to, &rounded, sizeof(rounded));
}

template <int kVectors>
inline void store_row(std::byte* c, const Floats (&sums)[kVectors], int columns, Store store) {
  constexpr int kColumns = kVectors * kVectorLanes;
  const size_t element = store == Store::set_bf16 ? sizeof(bf16) : sizeof(float);
  alignas(64) std::byte edge[kColumns * sizeof(float)];  // where fewer columns exist than the tile has
  std::byte* to = columns == kColumns ? c : edge;
  if (to == edge && store == Store::add_f32) {
    std::memset(edge, 0, sizeof(edge));
    std::memcpy(edge, c, static_cast<size_t>(columns) * element);
  }
  for (int v = 0; v < kVectors; ++v) {
    std::byte* at = to + static_cast<size_t>(v * kVectorLanes) * element;
    if (store == Store::set_bf16) {
      store_bf16(at, sums[v]);
    } else {
      const Floats result = store == Store::add_f32 ? load_floats(at) + sums[v] : sums[v];
      std::memcpy(at, &result, sizeof(result));
    }
  }
  if (to == edge) std::memcpy(c, edge, static_cast<size_t>(columns) * element);
}

template <bool kPairs, int kRows, int kVectors>
void tile(const TileArgs& t) {
  Floats sums[kRows][kVectors];  // set to zero one by one: initialised as a whole they would go through memory
  const std::byte* a[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    a[i] = t.a + i * t.a_row;
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) sums[i][v] = Floats{};
  }
  if (t.store == Store::add_f32) {  // what is added to is far away, and needed when the sums are done
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i)
      for (int at = 0; at < kVectors * kVectorLanes * 4; at += 64) __builtin_prefetch(t.c + i * t.c_row + at, 1);
  }
  const std::byte *b = t.b, *ahead = t.ahead;
  const int64_t end = t.lanes * t.a_lane;
  for (int64_t at = 0; at < end; at += t.a_lane) {
    Floats right[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) right[v] = load_floats(b + v * sizeof(Floats));
    if constexpr (kRows <= kStreamRows) {
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) __builtin_prefetch(b + kStreamAhead + v * sizeof(Floats), 0, 2);
    } else {
      __builtin_prefetch(ahead, 0, 2);
      ahead += sizeof(right);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      uint32_t lane;
      std::memcpy(&lane, a[i] + at, sizeof(lane));
      const Floats left = broadcast(lane);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[i][v] = multiply_add<kPairs>(left, right[v], sums[i][v]);
    }
    b += sizeof(right);
  }
  if (kPairs && t.half) {
    for (int i = 0; i < kRows; ++i) {
      uint16_t low;
      std::memcpy(&low, a[i] + end, sizeof(low));
      for (int v = 0; v < kVectors; ++v)
        sums[i][v] = multiply_add<kPairs>(broadcast(low), load_floats(b + v * sizeof(Floats)), sums[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) store_row<kVectors>(t.c + i * t.c_row, sums[i], t.columns, t.store);
}

// tile<kPairs, rows, vectors> at [rows - 1][vectors - 1].
using Tile = void (*)(const TileArgs&);
template <bool kPairs>
inline constexpr auto kTiles = []<int... kRow>(std::integer_sequence<int, kRow...>) {
  return std::array<std::array<Tile, kMaxVectors>, kMaxRows>{
      {{tile<kPairs, kRow + 1, 1>, tile<kPairs, kRow + 1, 2>, tile<kPairs, kRow + 1, 3>}...}};
}
(std::make_integer_sequence<int, kMaxRows>());

}  // namespace cohort::gemm
