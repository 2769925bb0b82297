// Attention backward on the GPU (attention.h), in two kernels that share nothing but each row's delta: one adds up dq, a
// tile of rows over the keys that they see, the other dk and dv, a tile of keys over the rows that see them, run after run.
// Every sum is one chain in one order: no atomics, and the scores are computed in both.
//
// With p = exp(s - lse):  dv = p^T dout,  ds = p (dout v^T - delta),  dq = ds k scale,  dk = ds^T q scale,
// delta = dout . out  (Dao et al. 2022, appendix B.2), and ds times 1 - tanh^2 where scores are soft-capped.
#include "model/cuda/attention.h"
#include "model/cuda/attention_tiles.cuh"
#include "model/cuda/platform/launch.cuh"
#include "model/cuda/platform/status.h"

namespace cohort::cuda {
namespace kernels {

constexpr int kBlock = 32;  // keys, or rows, that are in shared memory at one time
constexpr int kItemStride = kBlock + 4;

// p and ds of one row and key.
struct ScoreGradient {
  float p, ds;
};
// log2_lse: the row's log-sum-exp in units of log 2.
__device__ __forceinline__ ScoreGradient score_gradient(float q_dot_k, float dout_dot_v, float log2_lse, float delta,
                                                        const HeadShape& shape) {
  float score = q_dot_k * shape.queries, slope = 1;
  if (shape.cap > 0) {
    const float t = tanhf(score);
    score = shape.cap * t;
    slope = __fmaf_rn(-t, t, 1.0f);
  }
  const float p = exp2f(score - log2_lse);
  return {p, p * (dout_dot_v - delta) * slope};
}

template <typename T>
struct BackwardArguments {
  float *dq, *dk, *dv, *delta;
  const T *dout, *out, *q, *k, *v;
  const float* lse;
  PlanView plan;
  HeadShape shape;
};
constexpr float kLog2e = 1.44269504f;

// Writes factor * sums in this lane's dimensions.
template <int kD>
__device__ __forceinline__ void write_sums(float* to, const float (&sums)[kD / kRowLanes], float factor, int lane,
                                           int head_size) {
  constexpr int kDims = kD / kRowLanes;
#pragma unroll
  for (int c = 0; c < kDims; ++c)
    if (lane * kDims + c < head_size) to[lane * kDims + c] = sums[c] * factor;
}

// Block (tile of rows, kv head, sixteen of its rows).
template <typename T, int kD>
__global__ void __launch_bounds__(kTileThreads, 2) attention_backward_rows(BackwardArguments<T> a, PackKeys<T> keys) {
  constexpr int kStride = kD + kPad, kDims = kD / kRowLanes;
  GPU_DYNAMIC_SHARED(shared);
  float* items = reinterpret_cast<float*>(shared);
  T* query_rows = reinterpret_cast<T*>(items + kRowsAtOnce * kItemStride);
  T* dout_rows = query_rows + kRowsAtOnce * kStride;
  T* key_rows = dout_rows + kRowsAtOnce * kStride;
  T* value_rows = key_rows + kBlock * kStride;

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
  T *query = query_rows + index * kStride, *dout = dout_rows + index * kStride;
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

// Block (tile of keys, kv head).
template <typename T, int kD>
__global__ void __launch_bounds__(kTileThreads, 2) attention_backward_keys(BackwardArguments<T> a, int rows_of_pack) {
  constexpr int kStride = kD + kPad, kDims = kD / kRowLanes;
  GPU_DYNAMIC_SHARED(shared);
  float* all_p = reinterpret_cast<float*>(shared);
  float* all_ds = all_p + kRowsAtOnce * kItemStride;
  T* key_rows = reinterpret_cast<T*>(all_ds + kRowsAtOnce * kItemStride);
  T* value_rows = key_rows + kRowsAtOnce * kStride;
  T* query_rows = value_rows + kRowsAtOnce * kStride;
  T* dout_rows = query_rows + kBlock * kStride;

  const HeadShape& shape = a.shape;
  const KeyTile tile = a.plan.key_tiles[blockIdx.x];
  const int kv = blockIdx.y, index = threadIdx.x / kRowLanes, lane = threadIdx.x % kRowLanes;
  const int64_t key_row = tile.first_key + index;
  const bool live = key_row < rows_of_pack;
  const int64_t number = (key_row * shape.kv_heads + kv) * shape.head_size;
  T *key = key_rows + index * kStride, *value = value_rows + index * kStride;
  float *p = all_p + index * kItemStride, *ds = all_ds + index * kItemStride;
  load_row<kD>(key, live ? a.k + number : nullptr, lane, shape);
  load_row<kD>(value, live ? a.v + number : nullptr, lane, shape);

  float dk[kDims] = {}, dv[kDims] = {};
  for (int s = 0; s < tile.seers; ++s) {
    const Seer seer = a.plan.seers[tile.first_seer + s];
    const bool seen = index >= seer.begin && index < seer.end;
    const int position = seer.position + index - seer.begin;  // of this key
    const int first_row = seer.first_query * shape.group, end_row = seer.end_query * shape.group;
    const auto head_row_of = [&](int row) {
      return static_cast<int64_t>(a.plan.rows[row / shape.group]) * shape.heads + kv * shape.group + row % shape.group;
    };
    for (int base = first_row; base < end_row; base += kBlock) {
      const int count = min(kBlock, end_row - base);
      __syncthreads();  // the block before is done with
      load_rows<kD>(query_rows, count, shape, [&](int i) { return a.q + head_row_of(base + i) * shape.head_size; });
      load_rows<kD>(dout_rows, count, shape, [&](int i) { return a.dout + head_row_of(base + i) * shape.head_size; });
      __syncthreads();
#pragma unroll 1
      for (int j = lane; j < kBlock; j += kRowLanes) {
        ScoreGradient gradient{0, 0};
        if (seen && j < count) {
          const int at = a.plan.positions[(base + j) / shape.group];
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

}  // namespace kernels

namespace {

template <typename T, int kD>
constexpr size_t kRowsBytes =
    kRowsAtOnce * kernels::kItemStride * sizeof(float) + 2 * (kRowsAtOnce + kernels::kBlock) * (kD + kPad) * sizeof(T);
template <typename T, int kD>
constexpr size_t kKeysBytes = kRowsBytes<T, kD> + kRowsAtOnce * kernels::kItemStride * sizeof(float);

}  // namespace

void attention_pack_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k,
                             Tensor v, const AttentionPlan& plan, Tensor device_plan, const HeadLayout& heads, Tensor delta,
                             Stream stream) {
  const char* op = "attention_pack_backward";
  const PlanView view = plan_view(op, plan, device_plan, heads, false);
  const int64_t q_width = heads.num_heads * heads.head_size, kv_width = heads.num_kv_heads * heads.head_size;
  const auto check = [&](const char* name, Tensor t, int64_t cols, DType dtype) {
    check_matrix(op, name, t, plan.rows, cols);
    CHECK(t.dtype == dtype, "{}: {} is {}, wanted {}", op, name, dtype_name(t.dtype), dtype_name(dtype));
  };
  for (const auto& [name, t] : {std::pair{"dout", dout}, {"out", out}, {"q", q}}) check(name, t, q_width, q.dtype);
  for (const auto& [name, t] : {std::pair{"k", k}, {"v", v}}) check(name, t, kv_width, q.dtype);
  for (const auto& [name, t] : {std::pair{"dk", dk}, {"dv", dv}}) check(name, t, kv_width, DType::f32);
  for (const auto& [name, t] : {std::pair{"lse", lse}, {"delta", delta}}) check(name, t, heads.num_heads, DType::f32);
  check("dq", dq, q_width, DType::f32);
  if (plan.rows == 0) return;
  if (plan.queries < plan.rows)  // rows of no run
    check_status(cudaMemsetAsync(dq.data, 0, dq.bytes(), stream), "clear the gradient of queries");
  bool vectors = true;
  for (Tensor t : {dout, q, k, v}) vectors = vectors && rows_align(t, heads.head_size, 8);
  with_storage(q.dtype, [&]<typename T>(T) {
    with_head_size(heads.head_size, [&]<int kD>(std::integral_constant<int, kD>) {
      const kernels::BackwardArguments<T> arguments{dq.f32(),      dk.f32(),   dv.f32(),   delta.f32(),
                                                    data_of<T>(dout), data_of<T>(out), data_of<T>(q), data_of<T>(k),
                                                    data_of<T>(v), lse.f32(),  view,       head_shape(heads, vectors)};
      const PackKeys<T> keys{data_of<T>(k), data_of<T>(v), static_cast<int>(kv_width), static_cast<int>(heads.head_size)};
      const unsigned kv_heads = static_cast<unsigned>(heads.num_kv_heads);
      if (plan.whole_tiles > 0)
        launch(kernels::attention_backward_rows<T, kD>, dim3(static_cast<unsigned>(plan.whole_tiles), kv_heads, kTileRows / kRowsAtOnce), kTileThreads,
               kRowsBytes<T, kD>, stream, arguments, keys);
      launch(kernels::attention_backward_keys<T, kD>, dim3(static_cast<unsigned>(plan.key_tiles), kv_heads), kTileThreads,
             kKeysBytes<T, kD>, stream, arguments, static_cast<int>(plan.rows));
    });
  });
}

}  // namespace cohort::cuda
