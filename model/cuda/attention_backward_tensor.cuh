// Attention backward on tensor cores, for bf16 tensors: the two kernels of attention_backward.cu, with products and rows'
// bits as attention_mma.cuh has them. Included by attention_backward.cu alone.
//
// A warp has sixteen rows of a tile (queries in the first kernel, keys in the second) and goes over blocks of the other side,
// which travel (cp.async) while the block before is multiplied:
//
//     rows:  S = Q K^T, dP = dO V^T, dQ += dS K                     keys:  S^T = K Q^T, dP^T = V dO^T, dV += P^T dO, dK += dS^T Q
//
// p and ds are rounded to bf16, mma's left factor, where they lie. Blocks are counted from the sequence's first key and from
// the run's first query, so that a sum has the same steps wherever its run lies in a pack.
#pragma once

#include "model/cuda/attention_backward.cuh"
#include "model/cuda/attention_mma.cuh"

namespace cohort::cuda::kernels {

template <int kD>
struct BackwardTile : WarpShares<kD> {
  static constexpr int kBlock = kD < 256 ? 32 : 16;  // rows of the other side at a time: two blocks of them are there
  static constexpr int kBlockTiles = kBlock / kMmaColumns, kTiles = WarpShares<kD>::kColumns / kMmaColumns;
  static constexpr int kStride = kD + kPad;
  static constexpr size_t kRowBytes = (2 * WarpShares<kD>::kRows + 4 * kBlock) * kStride * sizeof(device_bf16);
  static_assert(kRowBlock % kBlock == 0);
};

// What the rows of a block have beside their numbers.
struct RowFacts {
  float log2_lse, delta;
  int position;
};

// Writes factor * sums of one of a lane's two rows.
template <int kTiles>
__device__ __forceinline__ void write_half(float* row, const float (&sums)[kTiles][4], int half, float factor, int dimension,
                                           const HeadShape& shape) {
#pragma unroll
  for (int t = 0; t < kTiles; ++t)
    write_pair(row, dimension + t * kMmaColumns, sums[t][2 * half] * factor + 0.0f, sums[t][2 * half + 1] * factor + 0.0f,
               shape);
}

// dout . out of kRows rows, eight lanes each, into `deltas` and to the other kernel.
template <int kRows, typename RowAt>
__device__ __forceinline__ void find_deltas(float* deltas, const BackwardArguments<device_bf16>& a, const RowAt& row_at) {
  const HeadShape& shape = a.shape;
#pragma unroll 1
  for (int i = threadIdx.x / kRowLanes; i < kRows; i += kRowsAtOnce) {
    const TileRow row = row_at(i);
    const int64_t head_row = row.head_row(shape);
    float delta = 0;
    for (int d = static_cast<int>(threadIdx.x) % kRowLanes * 8; d < shape.head_size && row.live; d += kRowLanes * 8) {
      float x[8], y[8];
      load_eight(x, a.dout + head_row * shape.head_size + d, shape.head_size - d, shape.vectors);
      load_eight(y, a.out + head_row * shape.head_size + d, shape.head_size - d, shape.vectors);
#pragma unroll
      for (int c = 0; c < 8; ++c) delta = __fmaf_rn(x[c], y[c], delta);
    }
    delta = row_sum(delta);
    if (threadIdx.x % kRowLanes != 0) continue;
    deltas[i] = delta;
    if (row.live) a.delta[head_row] = delta;
  }
}

// Block (tile of rows, kv head, BackwardTile::kRows of its rows).
template <int kD>
__global__ void __launch_bounds__(kTileThreads, 2)
    attention_backward_rows_tensor(BackwardArguments<device_bf16> a, PackKeys<device_bf16> keys) {
  using Tile = BackwardTile<kD>;
  constexpr int kBlock = Tile::kBlock;
  GPU_DYNAMIC_SHARED(shared);
  GPU_SHARED(float, deltas, [Tile::kRows]);
  device_bf16* query_rows = reinterpret_cast<device_bf16*>(shared);
  device_bf16* dout_rows = query_rows + Tile::kRows * Tile::kStride;
  device_bf16* blocks = dout_rows + Tile::kRows * Tile::kStride;  // keys, values, keys, values

  const HeadShape& shape = a.shape;
  const QueryTile tile = a.plan.whole[blockIdx.x];
  const QuerySet set = a.plan.sets[tile.set];
  const int kv = blockIdx.y, block_row = tile.first_row + static_cast<int>(blockIdx.z) * Tile::kRows;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const KeyRange range = keys_of_rows(block_row, Tile::kRows, set, a.plan, shape);
  if (range.end == 0) return;
  const int own_row = warp / Tile::kShares * kMmaRows, column = warp % Tile::kShares * Tile::kColumns;
  const KeyRange seen = keys_of_rows(block_row + own_row, kMmaRows, set, a.plan, shape);
  const auto row_at = [&](int i) { return row_of_set(block_row + i, set, kv, a.plan, shape); };
  const TileRow rows[2] = {row_at(own_row + lane / 4), row_at(own_row + lane / 4 + 8)};
  float log2_lse[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) log2_lse[half] = rows[half].live ? a.lse[rows[half].head_row(shape)] * kLog2e : 0;

  const auto copy_block = [&](int buffer, int base) {
    device_bf16* to = blocks + buffer * 2 * kBlock * Tile::kStride;
    const int first = range.begin - base, last = range.end - base;
    copy_rows<kD, kBlock>(to, first, last, shape, [&](int i) { return keys.keys + keys.number_of(set, kv, base + i); });
    copy_rows<kD, kBlock>(to + kBlock * Tile::kStride, first, last, shape,
                          [&](int i) { return keys.values + keys.number_of(set, kv, base + i); });
    ptx::copy_async_commit();
  };
  const int live = set.queries * shape.group - block_row;
  copy_rows<kD, Tile::kRows>(query_rows, 0, live, shape,
                             [&](int i) { return a.q + row_at(i).head_row(shape) * shape.head_size; });
  copy_rows<kD, Tile::kRows>(dout_rows, 0, live, shape,
                             [&](int i) { return a.dout + row_at(i).head_row(shape) * shape.head_size; });
  int base = range.begin / kBlock * kBlock;
  copy_block(0, base);
  find_deltas<Tile::kRows>(deltas, a, row_at);

  float dq[Tile::kTiles][4] = {};
  for (int buffer = 0; base < range.end; base += kBlock, buffer ^= 1) {
    ptx::copy_async_wait<0>();
    __syncthreads();  // this block is here, and all have done with the one before
    if (base + kBlock < range.end) copy_block(buffer ^ 1, base + kBlock);
    if (seen.begin >= base + kBlock || seen.end <= base) continue;
    const device_bf16* key_rows = blocks + buffer * 2 * kBlock * Tile::kStride;
    float items[Tile::kBlockTiles][4] = {}, dp[Tile::kBlockTiles][4] = {};
    add_dot_products<kD>(items, query_rows + own_row * Tile::kStride, key_rows, lane);
    add_dot_products<kD>(dp, dout_rows + own_row * Tile::kStride, key_rows + kBlock * Tile::kStride, lane);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int position = rows[half].position, first = shape.window_begin(position) - base, last = position + 1 - base;
      const float delta = deltas[own_row + lane / 4 + 8 * half];
#pragma unroll
      for (int t = 0; t < Tile::kBlockTiles; ++t)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int j = t * kMmaColumns + lane % 4 * 2 + i;
          float& item = items[t][2 * half + i];
          item = j >= first && j < last ? score_gradient(item, dp[t][2 * half + i], log2_lse[half], delta, shape).ds : 0.0f;
        }
    }
    uint32_t ds[Tile::kBlockTiles / 2][4];
    as_left_factor(ds, items);
    add_weighted_rows<kD>(dq, ds, key_rows + column, lane);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half)
    if (rows[half].live)
      write_half(a.dq + rows[half].head_row(shape) * shape.head_size, dq, half, shape.scale, column + lane % 4 * 2, shape);
}

// Where the second kernel is on its way over the rows that see a tile's keys: rows [row, row + kBlock) of the run's.
struct SeerPlace {
  const Seer *seer, *end;
  int row;

  __device__ __forceinline__ void skip_ended() {
    while (seer != end && row >= seer->end_row)
      if (++seer != end) row = seer->first_row;
  }
  __device__ __forceinline__ void advance(int rows) {
    row += rows;
    skip_ended();
  }
};

// Block (tile of keys, kv head, BackwardTile::kRows of its keys).
template <int kD>
__global__ void __launch_bounds__(kTileThreads, 2)
    attention_backward_keys_tensor(BackwardArguments<device_bf16> a, int rows_of_pack) {
  using Tile = BackwardTile<kD>;
  constexpr int kBlock = Tile::kBlock;
  GPU_DYNAMIC_SHARED(shared);
  GPU_SHARED(RowFacts, facts, [2 * kBlock]);
  device_bf16* key_rows = reinterpret_cast<device_bf16*>(shared);
  device_bf16* value_rows = key_rows + Tile::kRows * Tile::kStride;
  device_bf16* blocks = value_rows + Tile::kRows * Tile::kStride;  // queries, gradients, queries, gradients

  const HeadShape& shape = a.shape;
  const KeyTile tile = a.plan.key_tiles[blockIdx.x];
  const int kv = blockIdx.y, first_in_tile = static_cast<int>(blockIdx.z) * Tile::kRows;
  const int first_key = tile.first_key + first_in_tile;
  if (first_key >= rows_of_pack) return;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int own_key = warp / Tile::kShares * kMmaRows, column = warp % Tile::kShares * Tile::kColumns;
  const auto number_of = [&](int i) { return (static_cast<int64_t>(first_key + i) * shape.kv_heads + kv) * shape.head_size; };

  const auto head_row_of = [&](const SeerPlace& at, int i) {
    const int row = at.row + i;
    return static_cast<int64_t>(a.plan.rows[at.seer->first_query + row / shape.group]) * shape.heads + kv * shape.group +
           row % shape.group;
  };
  const auto copy_block = [&](int buffer, const SeerPlace& at) {
    device_bf16* to = blocks + buffer * 2 * kBlock * Tile::kStride;
    const int count = at.seer->end_row - at.row;
    copy_rows<kD, kBlock>(to, 0, count, shape, [&](int i) { return a.q + head_row_of(at, i) * shape.head_size; });
    copy_rows<kD, kBlock>(to + kBlock * Tile::kStride, 0, count, shape,
                          [&](int i) { return a.dout + head_row_of(at, i) * shape.head_size; });
    ptx::copy_async_commit();
  };
  // Of row threadIdx.x of the block; behind the last one there is none that sees anything.
  const auto facts_of = [&](const SeerPlace& at) {
    const int i = threadIdx.x;
    if (i >= kBlock || at.row + i >= at.seer->end_row) return RowFacts{0, 0, -1};
    const int64_t head_row = head_row_of(at, i);
    return RowFacts{a.lse[head_row] * kLog2e, a.delta[head_row],
                    a.plan.positions[at.seer->first_query + (at.row + i) / shape.group]};
  };
  const int live = rows_of_pack - first_key;
  const Seer* seers = a.plan.seers + tile.first_seer;
  SeerPlace at{seers, seers + tile.seers, tile.seers > 0 ? seers->first_row : 0};
  at.skip_ended();
  RowFacts own_facts{};
  if (at.seer != at.end) {
    copy_rows<kD, Tile::kRows>(key_rows, 0, live, shape, [&](int i) { return a.k + number_of(i); });
    copy_rows<kD, Tile::kRows>(value_rows, 0, live, shape, [&](int i) { return a.v + number_of(i); });
    copy_block(0, at);
    own_facts = facts_of(at);
  }
  float dk[Tile::kTiles][4] = {}, dv[Tile::kTiles][4] = {};
  for (int buffer = 0; at.seer != at.end; buffer ^= 1) {
    if (threadIdx.x < kBlock) facts[buffer * kBlock + threadIdx.x] = own_facts;
    ptx::copy_async_wait<0>();
    __syncthreads();  // this block is here, and all have done with the one before
    const Seer seer = *at.seer;
    at.advance(kBlock);
    if (at.seer != at.end) {
      copy_block(buffer ^ 1, at);
      own_facts = facts_of(at);  // on their way, too
    }
    // Where the lane's keys stand, and whether the seer sees anything of them.
    const RowFacts* fact = facts + buffer * kBlock;
    int positions[2];
    bool sees[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int index = first_in_tile + own_key + lane / 4 + 8 * half;
      sees[half] = index >= seer.begin && index < seer.end;
      positions[half] = seer.position + index - seer.begin;
    }
    if (!__any_sync(kWholeWarp, sees[0] || sees[1])) continue;
    const device_bf16* block_queries = blocks + buffer * 2 * kBlock * Tile::kStride;
    const device_bf16* block_douts = block_queries + kBlock * Tile::kStride;
    float p[Tile::kBlockTiles][4] = {}, ds[Tile::kBlockTiles][4] = {};
    add_dot_products<kD>(p, key_rows + own_key * Tile::kStride, block_queries, lane);
    add_dot_products<kD>(ds, value_rows + own_key * Tile::kStride, block_douts, lane);
#pragma unroll
    for (int t = 0; t < Tile::kBlockTiles; ++t)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const RowFacts row = fact[t * kMmaColumns + lane % 4 * 2 + i % 2];
        const int position = positions[i / 2];
        ScoreGradient gradient{0, 0};
        if (sees[i / 2] && position <= row.position && position >= shape.window_begin(row.position))
          gradient = score_gradient(p[t][i], ds[t][i], row.log2_lse, row.delta, shape);
        p[t][i] = gradient.p;
        ds[t][i] = gradient.ds;
      }
    uint32_t factors[Tile::kBlockTiles / 2][4];
    as_left_factor(factors, p);
    add_weighted_rows<kD>(dv, factors, block_douts + column, lane);
    as_left_factor(factors, ds);
    add_weighted_rows<kD>(dk, factors, block_queries + column, lane);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int key = own_key + lane / 4 + 8 * half;
    if (key >= live) continue;
    write_half(a.dk + number_of(key), dk, half, shape.scale, column + lane % 4 * 2, shape);
    write_half(a.dv + number_of(key), dv, half, 1.0f, column + lane % 4 * 2, shape);
  }
}

}  // namespace cohort::cuda::kernels
