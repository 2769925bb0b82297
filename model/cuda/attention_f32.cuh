// Attention forward in f32 multiply-adds on the ordinary cores: for float32 tensors. Included by attention.cu alone.
#pragma once

#include "model/cuda/attention_forward.cuh"

namespace cohort::cuda::kernels {

constexpr int kWeightStride = kKeyBlock + 4;

// Block (tile, kv head, kRowsAtOnce of the tile's rows). kSplit: one split of the keys, whose result goes to the partials;
// else all, to out and lse.
template <int kD, bool kSplit, typename Keys>
__global__ void __launch_bounds__(kTileThreads, 2) attention_f32(ForwardArguments<float> a, Keys keys) {
  constexpr int kStride = kD + kPad, kDims = kD / kRowLanes;
  GPU_DYNAMIC_SHARED(shared);
  float* queries = reinterpret_cast<float*>(shared);
  float* weights = queries + kRowsAtOnce * kStride;
  float* key_rows = weights + kRowsAtOnce * kWeightStride;
  float* value_rows = key_rows + kKeyBlock * kStride;

  const HeadShape& shape = a.shape;
  const QueryTile tile = a.tiles[blockIdx.x];
  if (tile.set < 0) return;
  const QuerySet set = a.plan.sets[tile.set];
  const int kv = blockIdx.y, index = threadIdx.x / kRowLanes, lane = threadIdx.x % kRowLanes;
  const int first_row = tile.first_row + static_cast<int>(blockIdx.z) * kRowsAtOnce;
  KeyRange range = keys_of_rows(first_row, kRowsAtOnce, set, a.plan, shape);
  if (range.end == 0) return;
  if constexpr (kSplit) range.clip_to(tile.split);
  const TileRow row = row_of_set(first_row + index, set, kv, a.plan, shape);
  const int row_begin = shape.window_begin(row.position);
  const int64_t head_row = row.head_row(shape), number = head_row * shape.head_size;
  float* query = queries + index * kStride;
  float* weight = weights + index * kWeightStride;
  load_row<kD>(query, row.live ? a.q + number : nullptr, lane, shape);

  Softmax<kDims> total, split;
  total.clear();
  split.clear();
  for (int base = range.begin / kKeyBlock * kKeyBlock; base < range.end; base += kKeyBlock) {
    const int count = min(kKeyBlock, range.end - base);
    __syncthreads();  // the block before is done with
    load_rows<kD>(key_rows, count, shape, [&](int i) { return keys.keys + keys.number_of(set, kv, base + i); });
    load_rows<kD>(value_rows, count, shape, [&](int i) { return keys.values + keys.number_of(set, kv, base + i); });
    __syncthreads();
    // Keys [first, last) of the block are those that the row sees.
    const int first = max(0, row_begin - base), last = min(count, row.position + 1 - base);
    float most = minus_infinity();
#pragma unroll 1
    for (int j = lane; j < kKeyBlock; j += kRowLanes) {
      float score = minus_infinity();
      if (j >= first && j < last) score = shape.score(dot<kD>(query, key_rows + j * kStride));
      weight[j] = score;  // this lane's own until all are weights
      most = fmaxf(most, score);
    }
    most = fmaxf(split.most, row_max(most));
    const bool sees = first < last;
    const float rescale = sees ? exp2f(split.most - most) : 1.0f;
    float sum = 0;
#pragma unroll 1
    for (int j = lane; j < kKeyBlock; j += kRowLanes) {
      const float p = j >= first && j < last ? exp2f(weight[j] - most) : 0.0f;
      sum += p;
      weight[j] = p;
    }
    sum = row_sum(sum);
    __syncwarp();
    if (sees) {
      split.most = most;
      split.weight = __fmaf_rn(split.weight, rescale, sum);
#pragma unroll
      for (int c = 0; c < kDims; ++c) split.sums[c] *= rescale;
#pragma unroll 1
      for (int j = first; j < last; ++j) add_row<kD>(split.sums, weight[j], value_rows + j * kStride, lane);
    }
    if constexpr (!kSplit) {
      if (ends_split(base, range.end)) {
        total.add(split.most, split.weight, split.sums);
        split.clear();
      }
    }
  }
  if (!row.live) return;
  if constexpr (kSplit) {
    float* to = a.partials + a.partial_of(row, tile.split) * (kD + 2);
    if (lane == 0) to[0] = split.most, to[1] = split.weight;
#pragma unroll
    for (int c = 0; c < kDims; ++c) to[2 + lane * kDims + c] = split.sums[c];
  } else {
    write_row<kDims>(a.out + number, a.lse == nullptr ? nullptr : a.lse + head_row, total, lane, shape.head_size);
  }
}

template <int kD>
constexpr size_t kF32Bytes = (kRowsAtOnce * (kD + kPad + kWeightStride) + 2 * kKeyBlock * (kD + kPad)) * sizeof(float);

}  // namespace cohort::cuda::kernels
