// Attention forward on tensor cores, for bf16 tensors: mma.sync m16n8k16 with f32 sums, on sm_80 and later. Included by
// attention.cu alone.
//
// A block has four warps and a tile of query rows (query x head of the group: heads of a group, and samples that share a
// split, are rows side by side), sixteen for each warp (attention_mma.cuh). Shared memory holds the queries, a block of 64
// keys, and its values. Values travel (cp.async) while scores are computed, the next block's keys while values are weighed:
//
//     barrier   S = Q K^T, softmax          barrier   sums += P V                    barrier ...
//                 values travel                         the next block's keys travel
//
// A row's bits do not depend on its neighbours. The products' do not (attention_mma.cuh), its largest score and weight are
// found by its own four lanes, and which blocks of keys others of its tile see changes nothing: what a row does not see has
// the weight 0, whether it is there (later tokens of a pack) or not (zeros are loaded), so zeros are added, and nothing is
// rescaled. Values must be finite for that. Blocks stand at multiples of 64 positions, and splits end where they do in every
// pass.
#pragma once

#include "model/cuda/attention_forward.cuh"
#include "model/cuda/attention_mma.cuh"

namespace cohort::cuda::kernels {

template <int kD>
struct TensorTile : WarpShares<kD> {
  static constexpr int kStride = kD + kPad;
  static constexpr size_t kBytes = (WarpShares<kD>::kRows + 2 * kKeyBlock) * kStride * sizeof(device_bf16);
};
constexpr int kScoreTiles = kKeyBlock / kMmaColumns;

// The running softmaxes of a warp's rows: a lane has a part of rows lane / 4 ([0]) and lane / 4 + 8 ([1]), whose sums lie
// in the first and second half of each four.
template <int kTiles>
struct TensorSoftmax {
  float most[2], weight[2], sums[kTiles][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      most[half] = minus_infinity();
      weight[half] = 0;
    }
#pragma unroll
    for (int t = 0; t < kTiles; ++t)
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[t][i] = 0;
  }

  __device__ __forceinline__ void add(const TensorSoftmax& later) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const Meeting meeting(most[half], later.most[half], later.weight[half]);
      if (meeting.none) continue;
      most[half] = meeting.most;
      weight[half] = meeting.sum(weight[half], later.weight[half]);
#pragma unroll
      for (int t = 0; t < kTiles; ++t)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) sums[t][i] = meeting.sum(sums[t][i], later.sums[t][i]);
    }
  }

  // Takes up a block of scores, of which a row sees keys [first, last): the scores become weights 2^(score - most), the
  // sums wait for the weighted values. q_dot_k holds dot products.
  __device__ __forceinline__ void weigh(float (&q_dot_k)[kScoreTiles][4], int half, int first, int last, int lane,
                                        const HeadShape& shape) {
    const auto sees = [&](int t, int i) {
      const int j = t * kMmaColumns + lane % 4 * 2 + i;
      return j >= first && j < last;
    };
    float largest = minus_infinity();
#pragma unroll
    for (int t = 0; t < kScoreTiles; ++t)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float& score = q_dot_k[t][2 * half + i];
        score = sees(t, i) ? shape.score(score) : minus_infinity();
        largest = fmaxf(largest, score);
      }
    largest = fmaxf(most[half], row_max<4>(largest));
    float sum = 0;
#pragma unroll
    for (int t = 0; t < kScoreTiles; ++t)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float& p = q_dot_k[t][2 * half + i];
        p = sees(t, i) ? exp2f(p - largest) : 0.0f;
        sum += p;
      }
    sum = row_sum<4>(sum);
    if (first >= last) return;
    const float rescale = exp2f(most[half] - largest);
    most[half] = largest;
    weight[half] = __fmaf_rn(weight[half], rescale, sum);
#pragma unroll
    for (int t = 0; t < kTiles; ++t)
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) sums[t][i] *= rescale;
  }
};

// Block (tile, kv head, TensorTile::kRows of the tile's rows). kSplit: one split of the keys, whose result goes to the
// partials; else all, to out and lse.
template <int kD, bool kSplit, typename Keys>
__global__ void __launch_bounds__(kTileThreads, 2 + kSplit + (kD == 64))
    attention_tensor(ForwardArguments<device_bf16> a, Keys keys) {
  using Tile = TensorTile<kD>;
  constexpr int kTiles = Tile::kColumns / kMmaColumns;
  GPU_DYNAMIC_SHARED(shared);
  device_bf16* query_rows = reinterpret_cast<device_bf16*>(shared);
  device_bf16* key_rows = query_rows + Tile::kRows * Tile::kStride;
  device_bf16* value_rows = key_rows + kKeyBlock * Tile::kStride;

  const HeadShape& shape = a.shape;
  const QueryTile tile = a.tiles[blockIdx.x];
  if (tile.set < 0) return;
  const QuerySet set = a.plan.sets[tile.set];
  const int kv = blockIdx.y, block_row = tile.first_row + static_cast<int>(blockIdx.z) * Tile::kRows;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  KeyRange range = keys_of_rows(block_row, Tile::kRows, set, a.plan, shape);
  if (range.end == 0) return;
  if constexpr (kSplit) range.clip_to(tile.split);
  // This warp's rows, what they see, and its columns of their sums.
  const int own_row = warp / Tile::kShares * kMmaRows, column = warp % Tile::kShares * Tile::kColumns;
  const KeyRange seen = keys_of_rows(block_row + own_row, kMmaRows, set, a.plan, shape);
  const auto row_of_lane = [&](int half) { return row_of_set(block_row + own_row + lane / 4 + 8 * half, set, kv, a.plan, shape); };
  const TileRow rows[2] = {row_of_lane(0), row_of_lane(1)};

  const auto copy_block = [&](device_bf16* to, const device_bf16* from, int base) {
    copy_rows<kD, kKeyBlock>(to, range.begin - base, range.end - base, shape,
                             [&](int i) { return from + keys.number_of(set, kv, base + i); });
    ptx::copy_async_commit();
  };
  int base = range.begin / kKeyBlock * kKeyBlock;
  copy_rows<kD, Tile::kRows>(query_rows, 0, set.queries * shape.group - block_row, shape, [&](int i) {
    return a.q + row_of_set(block_row + i, set, kv, a.plan, shape).head_row(shape) * shape.head_size;
  });
  copy_block(key_rows, keys.keys, base);

  TensorSoftmax<kTiles> total, split;
  total.clear();
  split.clear();
  for (; base < range.end; base += kKeyBlock) {
    const bool works = seen.begin < base + kKeyBlock && seen.end > base;
    ptx::copy_async_wait<0>();
    __syncthreads();  // the keys are here, and all have done with the values before
    copy_block(value_rows, keys.values, base);
    uint32_t weights[kScoreTiles / 2][4];
    if (works) {
      float scores[kScoreTiles][4] = {};
      add_dot_products<kD>(scores, query_rows + own_row * Tile::kStride, key_rows, lane);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int position = rows[half].position;
        split.weigh(scores, half, max(0, shape.window_begin(position) - base), min(kKeyBlock, position + 1 - base), lane,
                    shape);
      }
      as_left_factor(weights, scores);
    }
    ptx::copy_async_wait<0>();
    __syncthreads();  // the values are here, and all have done with the keys
    if (base + kKeyBlock < range.end) copy_block(key_rows, keys.keys, base + kKeyBlock);
    if (works) add_weighted_rows<kD>(split.sums, weights, value_rows + column, lane);
    if constexpr (!kSplit) {
      if (ends_split(base, range.end)) {
        total.add(split);
        split.clear();
      }
    }
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const TileRow row = kSplit ? rows[half] : row_of_lane(half);  // with two sets of sums no register is left to hold it
    if (!row.live) continue;
    const bool first_lane = lane % 4 == 0 && column == 0;
    const int dimension = column + lane % 4 * 2;  // of this lane's first tile
    if constexpr (kSplit) {
      float* to = a.partials + a.partial_of(row, tile.split) * (kD + 2);
      if (first_lane) to[0] = split.most[half], to[1] = split.weight[half];
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        const float pair[2] = {split.sums[t][2 * half], split.sums[t][2 * half + 1]};
        store(to + 2 + dimension + t * 8, pair);
      }
    } else {
      const int64_t head_row = row.head_row(shape);
      const float inverse = __fdiv_rn(1.0f, total.weight[half]);
      if (first_lane && a.lse != nullptr) a.lse[head_row] = log_sum_exp(total.most[half], total.weight[half]);
#pragma unroll
      for (int t = 0; t < kTiles; ++t)
        write_pair(a.out + head_row * shape.head_size, dimension + t * 8, weighted_mean(total.sums[t][2 * half], inverse),
                   weighted_mean(total.sums[t][2 * half + 1], inverse), shape);
    }
  }
}

}  // namespace cohort::cuda::kernels
