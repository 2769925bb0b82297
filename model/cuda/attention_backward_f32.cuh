// Attention backward in f32 multiply-adds on the ordinary cores, for float32 tensors: the two kernels of
// attention_backward.cu. Included by it alone.
#pragma once

#include "model/cuda/attention_backward.cuh"

namespace cohort::cuda::kernels {

constexpr int kBlock = 32;  // keys, or rows, that are in shared memory at one time
constexpr int kItemStride = kBlock + 4;

// Writes factor * sums in this lane's dimensions.
template <int kD>
__device__ __forceinline__ void write_sums(float* to, const float (&sums)[kD / kRowLanes], float factor, int lane,
                                           int head_size) {
  constexpr int kDims = kD / kRowLanes;
#pragma unroll
  for (int c = 0; c < kDims; ++c)
    if (lane * kDims + c < head_size) to[lane * kDims + c] = sums[c] * factor;
}

// Block (tile of rows, kv head, kRowsAtOnce of its rows).
template <int kD>
__global__ void __launch_bounds__(kTileThreads, 2) attention_backward_rows_f32(BackwardArguments<float> a, PackKeys<float> keys) {
  constexpr int kStride = kD + kPad, kDims = kD / kRowLanes;
  GPU_DYNAMIC_SHARED(shared);
  float* items = reinterpret_cast<float*>(shared);
  float* query_rows = items + kRowsAtOnce * kItemStride;
  float* dout_rows = query_rows + kRowsAtOnce * kStride;
  float* key_rows = dout_rows + kRowsAtOnce * kStride;
  float* value_rows = key_rows + kBlock * kStride;

  const HeadShape& shape = a.shape;
  const QueryTile tile = a.plan.whole[blockIdx.x];
  const QuerySet set = a.plan.sets[tile.set];
  const int kv = blockIdx.y, index = threadIdx.x / kRowLanes, lane = threadIdx.x % kRowLanes;
  const int first_row = tile.first_row + static_cast<int>(blockIdx.z) * kRowsAtOnce;
  const KeyRange range = keys_of_rows(first_row, kRowsAtOnce, set, a.plan, shape);
  if (range.end == 0) return;
  const TileRow row = row_of_set(first_row + index, set, kv, a.plan, shape);
  const int row_begin = shape.window_begin(row.position);
  const int64_t head_row = row.head_row(shape), number = head_row * shape.head_size;
  float *query = query_rows + index * kStride, *dout = dout_rows + index * kStride;
  float* item = items + index * kItemStride;
  load_row<kD>(query, row.live ? a.q + number : nullptr, lane, shape);
  load_row<kD>(dout, row.live ? a.dout + number : nullptr, lane, shape);
  float delta = 0;
  for (int d = lane; d < shape.head_size && row.live; d += kRowLanes)
    delta = __fmaf_rn(to_f32(a.dout[number + d]), to_f32(a.out[number + d]), delta);
  delta = row_sum(delta);
  const float log2_lse = row.live ? a.lse[head_row] * kLog2e : 0;
  if (row.live && lane == 0) a.delta[head_row] = delta;

  float sums[kDims] = {};
  for (int base = range.begin; base < range.end; base += kBlock) {
    const int count = min(kBlock, range.end - base);
    __syncthreads();  // the block before is done with
    load_rows<kD>(key_rows, count, shape, [&](int i) { return keys.keys + keys.number_of(set, kv, base + i); });
    load_rows<kD>(value_rows, count, shape, [&](int i) { return keys.values + keys.number_of(set, kv, base + i); });
    __syncthreads();
    const int first = max(0, row_begin - base), last = min(count, row.position + 1 - base);
#pragma unroll 1
    for (int j = lane; j < kBlock; j += kRowLanes) {
      float ds = 0;
      if (j >= first && j < last)
        ds = score_gradient(dot<kD>(query, key_rows + j * kStride), dot<kD>(dout, value_rows + j * kStride), log2_lse, delta,
                            shape)
                 .ds;
      item[j] = ds;
    }
    __syncwarp();
#pragma unroll 1
    for (int j = first; j < last; ++j) add_row<kD>(sums, item[j], key_rows + j * kStride, lane);
  }
  if (row.live) write_sums<kD>(a.dq + number, sums, shape.scale, lane, shape.head_size);
}

// Block (tile of keys, kv head, kRowsAtOnce of its keys).
template <int kD>
__global__ void __launch_bounds__(kTileThreads, 2) attention_backward_keys_f32(BackwardArguments<float> a, int rows_of_pack) {
  constexpr int kStride = kD + kPad, kDims = kD / kRowLanes;
  GPU_DYNAMIC_SHARED(shared);
  float* all_p = reinterpret_cast<float*>(shared);
  float* all_ds = all_p + kRowsAtOnce * kItemStride;
  float* key_rows = all_ds + kRowsAtOnce * kItemStride;
  float* value_rows = key_rows + kRowsAtOnce * kStride;
  float* query_rows = value_rows + kRowsAtOnce * kStride;
  float* dout_rows = query_rows + kBlock * kStride;

  const HeadShape& shape = a.shape;
  const KeyTile tile = a.plan.key_tiles[blockIdx.x];
  const int kv = blockIdx.y, lane = threadIdx.x % kRowLanes;
  const int first = static_cast<int>(blockIdx.z) * kRowsAtOnce, index = first + static_cast<int>(threadIdx.x) / kRowLanes;
  if (tile.first_key + first >= rows_of_pack) return;
  const int64_t key_row = tile.first_key + index;
  const bool live = key_row < rows_of_pack;
  const int64_t number = (key_row * shape.kv_heads + kv) * shape.head_size;
  float *key = key_rows + (index - first) * kStride, *value = value_rows + (index - first) * kStride;
  float *p = all_p + (index - first) * kItemStride, *ds = all_ds + (index - first) * kItemStride;
  load_row<kD>(key, live ? a.k + number : nullptr, lane, shape);
  load_row<kD>(value, live ? a.v + number : nullptr, lane, shape);

  float dk[kDims] = {}, dv[kDims] = {};
  for (int s = 0; s < tile.seers; ++s) {
    const Seer seer = a.plan.seers[tile.first_seer + s];
    const bool seen = index >= seer.begin && index < seer.end;
    const int position = seer.position + index - seer.begin;  // of this key
    const auto head_row_of = [&](int row) {
      return static_cast<int64_t>(a.plan.rows[seer.first_query + row / shape.group]) * shape.heads + kv * shape.group +
             row % shape.group;
    };
    for (int base = seer.first_row; base < seer.end_row; base += kBlock) {
      const int count = min(kBlock, seer.end_row - base);
      __syncthreads();  // the block before is done with
      load_rows<kD>(query_rows, count, shape, [&](int i) { return a.q + head_row_of(base + i) * shape.head_size; });
      load_rows<kD>(dout_rows, count, shape, [&](int i) { return a.dout + head_row_of(base + i) * shape.head_size; });
      __syncthreads();
#pragma unroll 1
      for (int j = lane; j < kBlock; j += kRowLanes) {
        ScoreGradient gradient{0, 0};
        if (seen && j < count) {
          const int at = a.plan.positions[seer.first_query + (base + j) / shape.group];
          if (position <= at && position >= shape.window_begin(at)) {
            const int64_t row = head_row_of(base + j);
            gradient = score_gradient(dot<kD>(query_rows + j * kStride, key), dot<kD>(dout_rows + j * kStride, value),
                                      a.lse[row] * kLog2e, a.delta[row], shape);
          }
        }
        p[j] = gradient.p;
        ds[j] = gradient.ds;
      }
      __syncwarp();
      if (seen) {
#pragma unroll 1
        for (int j = 0; j < count; ++j) {
          add_row<kD>(dv, p[j], dout_rows + j * kStride, lane);
          add_row<kD>(dk, ds[j], query_rows + j * kStride, lane);
        }
      }
    }
  }
  if (!live) return;
  write_sums<kD>(a.dk + number, dk, shape.scale, lane, shape.head_size);
  write_sums<kD>(a.dv + number, dv, 1.0f, lane, shape.head_size);
}

template <int kD>
constexpr size_t kRowsBytes = (kRowsAtOnce * kItemStride + 2 * (kRowsAtOnce + kBlock) * (kD + kPad)) * sizeof(float);
template <int kD>
constexpr size_t kKeysBytes = kRowsBytes<kD> + kRowsAtOnce * kItemStride * sizeof(float);

}  // namespace cohort::cuda::kernels
