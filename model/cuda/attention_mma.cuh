// Attention's products on tensor cores: a warp multiplies 16 rows of bf16 numbers by blocks of others, all of them in shared
// memory in rows of kD + kPad numbers (eight rows that ldmatrix reads together begin in different banks). Private to
// model/cuda.
//
// Results, 16 rows of 8 kTiles numbers, lie in the registers of mma's sums: of tile t a lane has columns 8 t + 2 (lane % 4)
// and the next, [t][0] and [1] of row lane / 4, [t][2] and [3] of row lane / 4 + 8. Two tiles beside each other, rounded to
// bf16, are mma's left factor as they lie. An element of a result is made from its own row of the left factor, its own
// column of the right one and its own earlier sum, in steps of 16 that are the same in every row: what else is in the
// rows beside it changes none of its bits.
#pragma once

#include "model/cuda/attention_tiles.cuh"
#include "model/cuda/platform/ptx.cuh"

namespace cohort::cuda {

constexpr int kMmaRows = 16, kMmaColumns = 8;
constexpr int kTileWarps = kTileThreads / 32;

// How a block's warps share its rows: each has sixteen and their sums over kColumns dimensions, as many as registers hold.
// Above 128 dimensions kShares warps have the same rows, and all of them their scores.
template <int kD>
struct WarpShares {
  static constexpr int kColumns = kD < 128 ? kD : 128;
  static constexpr int kShares = kD / kColumns;
  static constexpr int kRows = kTileWarps / kShares * kMmaRows;
};

// Rows of D numbers, at row_at(i) for i in [first, last), and rows of zeros for the others of kRows; zeros behind the D.
// By the whole block; aligned rows travel until the caller has committed and waited.
template <int kD, int kRows, typename RowAt>
__device__ __forceinline__ void copy_rows(device_bf16* to, int first, int last, const HeadShape& shape, const RowAt& row_at) {
  constexpr int kPieces = kD / 8;
#pragma unroll 2
  for (int at = threadIdx.x; at < kRows * kPieces; at += kTileThreads) {
    const int i = at / kPieces, d = at % kPieces * 8;
    const int left = i >= first && i < last ? shape.head_size - d : 0;
    device_bf16* piece = to + i * (kD + kPad) + d;
    if (shape.vectors && left > 0) {
      ptx::copy_async_16(piece, row_at(i) + d);
    } else {
      float values[8] = {};
      if (left > 0) load_eight(values, row_at(i) + d, left, false);
      store_eight(piece, values);
    }
  }
}

// products += left right^T: 16 rows by 8 kTiles rows.
template <int kD, int kTiles>
__device__ __forceinline__ void add_dot_products(float (&products)[kTiles][4], const device_bf16* left,
                                                 const device_bf16* right, int lane) {
  constexpr int kStride = kD + kPad;
  const device_bf16* row = left + lane % 16 * kStride + lane / 16 * 8;
  const device_bf16* column = right + (lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
#pragma unroll(kD > 128 ? 1 : 4)  // above, sums leave no registers for pieces on their way (sm_100)
  for (int d = 0; d < kD; d += 16) {
    uint32_t rows[4];
    ptx::ldmatrix_x4<false>(rows, row + d);
#pragma unroll
    for (int t = 0; t < kTiles; t += 2) {
      uint32_t columns[4];
      ptx::ldmatrix_x4<false>(columns, column + t * kMmaColumns * kStride + d);
      const uint32_t even[2] = {columns[0], columns[1]}, odd[2] = {columns[2], columns[3]};
      ptx::mma_m16n8k16(products[t], rows, even, products[t]);
      ptx::mma_m16n8k16(products[t + 1], rows, odd, products[t + 1]);
    }
  }
}

// sums += factors right, for 8 kTiles columns of 16 kSteps rows.
template <int kD, int kTiles, int kSteps>
__device__ __forceinline__ void add_weighted_rows(float (&sums)[kTiles][4], const uint32_t (&factors)[kSteps][4],
                                                  const device_bf16* right, int lane) {
  constexpr int kStride = kD + kPad;
  const device_bf16* row = right + lane % 16 * kStride + lane / 16 * 8;
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
#pragma unroll
    for (int t = 0; t < kTiles; t += 2) {
      uint32_t columns[4];
      ptx::ldmatrix_x4<true>(columns, row + step * 16 * kStride + t * kMmaColumns);
      const uint32_t even[2] = {columns[0], columns[1]}, odd[2] = {columns[2], columns[3]};
      ptx::mma_m16n8k16(sums[t], factors[step], even, sums[t]);
      ptx::mma_m16n8k16(sums[t + 1], factors[step], odd, sums[t + 1]);
    }
  }
}

template <int kTiles>
__device__ __forceinline__ void as_left_factor(uint32_t (&factors)[kTiles / 2][4], const float (&numbers)[kTiles][4]) {
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
    factors[t / 2][t % 2 * 2] = ptx::pack_bf16(numbers[t][0], numbers[t][1]);
    factors[t / 2][t % 2 * 2 + 1] = ptx::pack_bf16(numbers[t][2], numbers[t][3]);
  }
}

// Two neighbouring numbers of a row of D, from dimension d on.
template <typename T>
__device__ __forceinline__ void write_pair(T* row, int d, float a, float b, const HeadShape& shape) {
  if (shape.vectors && d < shape.head_size) {
    const float pair[2] = {a, b};
    store(row + d, pair);
  } else {
    if (d < shape.head_size) store_as(row + d, a);
    if (d + 1 < shape.head_size) store_as(row + d + 1, b);
  }
}

}  // namespace cohort::cuda
