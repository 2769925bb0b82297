// Attention forward on the GPU (attention.h): softmax accumulated over blocks of keys (Milakov and Gimelshein 2018; Dao et
// al. 2022). The kernels over blocks of keys are in attention_f32.cuh and attention_tensor.cuh; here are what puts splits
// together, what fills the cache, and the host's side.
#include "model/cuda/attention.h"

#include <bit>
#include <cmath>

#include "model/cuda/attention_f32.cuh"
#include "model/cuda/attention_tensor.cuh"
#include "model/cuda/platform/launch.cuh"

namespace cohort::cuda {
namespace kernels {

// Rows (query, head), eight lanes each: the splits' partials in their order. Queries with one split were written already.
template <typename T, int kD>
__global__ void __launch_bounds__(kTileThreads, 2) attention_combine(ForwardArguments<T> a, int rows) {
  constexpr int kDims = kD / kRowLanes;
  const HeadShape& shape = a.shape;
  const int at = blockIdx.x * kRowsAtOnce + threadIdx.x / kRowLanes, lane = threadIdx.x % kRowLanes;
  if (at >= rows) return;
  const int query = at / shape.heads, head = at % shape.heads;
  const int position = a.plan.positions[query];
  const int splits = position / kSplitSize + 1 - shape.window_begin(position) / kSplitSize;
  const int first = a.plan.first_partials[query];
  if (a.plan.first_partials[query + 1] == first) return;
  Softmax<kDims> total;
  total.clear();
  for (int split = 0; split < splits; ++split) {
    const float* from = a.partials + (static_cast<int64_t>(first + split) * shape.heads + head) * (kD + 2);
    float sums[kDims];
#pragma unroll
    for (int c = 0; c < kDims; ++c) sums[c] = from[2 + lane * kDims + c];
    total.add(from[0], from[1], sums);
  }
  const int64_t row = static_cast<int64_t>(a.plan.rows[query]) * shape.heads + head;
  write_row<kDims>(a.out + row * shape.head_size, a.lse == nullptr ? nullptr : a.lse + row, total, lane, shape.head_size);
}

// Block: one query's keys and values into its page; nothing where the query has no row.
template <typename T>
__global__ void __launch_bounds__(kTileThreads)
    store_cached(CachedKeys<T> cache, const T* __restrict__ k, const T* __restrict__ v, PlanView plan, HeadShape shape) {
  const int query = blockIdx.x, position = plan.positions[query], width = shape.kv_heads * shape.head_size;
  if (plan.rows[query] < 0) return;
  const int32_t page = plan.pages[plan.first_pages[query] + (position >> cache.shift)];
  const int64_t from = static_cast<int64_t>(plan.rows[query]) * width;
  for (int i = threadIdx.x; i < width; i += kTileThreads) {
    const int64_t to = cache.number_in(page, i / shape.head_size, position & ((1 << cache.shift) - 1)) + i % shape.head_size;
    const_cast<T*>(cache.keys)[to] = k[from + i];
    const_cast<T*>(cache.values)[to] = v[from + i];
  }
}

}  // namespace kernels

namespace {

int64_t head_width(int64_t head_size) { return head_size <= 64 ? 64 : head_size <= 128 ? 128 : 256; }

void check_q(const char* op, Tensor out, Tensor q, Tensor lse, const AttentionPlan& plan, const HeadLayout& heads) {
  check_matrix(op, "q", q, plan.rows, heads.num_heads * heads.head_size);
  check_matrix(op, "out", out, plan.rows, heads.num_heads * heads.head_size);
  CHECK(out.dtype == q.dtype, "{}: q is {}, out {}", op, dtype_name(q.dtype), dtype_name(out.dtype));
  if (lse) check_matrix(op, "lse", lse, plan.rows, heads.num_heads);
}

bool cache_aligns(const KeyPages& cache, DType dtype) {
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  return aligned(cache.keys) && aligned(cache.values) && cache.stride * static_cast<int64_t>(dtype_size(dtype)) % 16 == 0;
}

template <typename T>
CachedKeys<T> cached_keys(const char* op, const KeyPages& cache, const AttentionPlan& plan, const PlanView& view,
                          const HeadLayout& heads) {
  CHECK(cache.page_tokens == plan.page_tokens, "{}: pages of {} positions, planned for {}", op, cache.page_tokens,
        plan.page_tokens);
  const int shift = std::countr_zero(static_cast<uint64_t>(cache.page_tokens));
  return {static_cast<const T*>(cache.keys), static_cast<const T*>(cache.values), view.pages, shift,
          static_cast<int>(cached_head_size(heads.head_size)), cache.stride};
}

// float32 on the ordinary cores, bf16 on tensor cores.
template <typename T, int kD, bool kSplit, typename Keys>
void forward_tiles(int64_t tiles, const QueryTile* list, kernels::ForwardArguments<T> arguments, const Keys& keys,
                   Stream stream) {
  if (tiles == 0) return;
  arguments.tiles = list;
  const auto start = [&](auto kernel, int rows_at_once, size_t shared_bytes) {
    launch(kernel,
           dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(arguments.shape.kv_heads),
                static_cast<unsigned>(kTileRows / rows_at_once)),
           kTileThreads, shared_bytes, stream, arguments, keys);
  };
  if constexpr (std::is_same_v<T, float>) {
    start(kernels::attention_f32<kD, kSplit, Keys>, kRowsAtOnce, kernels::kF32Bytes<kD>);
  } else {
    using Tile = kernels::TensorTile<kD>;
    start(kernels::attention_tensor<kD, kSplit, Keys>, Tile::kRows, Tile::kBytes);
  }
}

}  // namespace

HeadShape head_shape(const HeadLayout& heads, bool vectors) {
  constexpr float kLog2e = 1.44269504f;
  const float scale = heads.scale != 0 ? heads.scale : 1.0f / std::sqrt(static_cast<float>(heads.head_size));
  CHECK(heads.softcap >= 0 && std::isfinite(heads.softcap), "attention: softcap {}, must be positive, or 0 for none",
        heads.softcap);
  const bool capped = heads.softcap > 0;
  // A window that is longer than any position is none.
  const int window = heads.window > INT32_MAX ? 0 : static_cast<int>(heads.window);
  return {static_cast<int>(heads.num_heads),
          static_cast<int>(heads.num_kv_heads),
          static_cast<int>(heads.num_heads / heads.num_kv_heads),
          static_cast<int>(heads.head_size),
          window,
          scale,
          capped ? scale / heads.softcap : scale * kLog2e,
          capped ? heads.softcap * kLog2e : 0.0f,
          vectors && heads.head_size % 8 == 0};
}

PlanView plan_view(const char* op, const AttentionPlan& plan, Tensor device_plan, const HeadLayout& heads, bool cached) {
  CHECK(device_plan.size() == static_cast<int64_t>(plan.numbers.size()), "{}: a plan of {} numbers, wanted {}", op,
        device_plan.size(), plan.numbers.size());
  check_on_device(op, "the plan", device_plan);
  CHECK(plan.group * heads.num_kv_heads == heads.num_heads && plan.window == heads.window && (plan.page_tokens > 0) == cached,
        "{}: the plan is of groups of {}, a window of {}, {}", op, plan.group, plan.window,
        plan.page_tokens > 0 ? "a cache" : "a pack");
  const int32_t* n = device_plan.i32();
  return {n + plan.at.rows,
          n + plan.at.positions,
          n + plan.at.first_pages,
          n + plan.at.first_partials,
          n + plan.at.pages,
          reinterpret_cast<const QuerySet*>(n + plan.at.sets),
          reinterpret_cast<const QueryTile*>(n + plan.at.whole_tiles),
          reinterpret_cast<const QueryTile*>(n + plan.at.split_tiles),
          reinterpret_cast<const KeyTile*>(n + plan.at.key_tiles),
          reinterpret_cast<const Seer*>(n + plan.at.seers)};
}

void store_cached(const KeyPages& cache, Tensor k, Tensor v, const AttentionPlan& plan, Tensor device_plan,
                  const HeadLayout& heads, Stream stream) {
  const char* op = "store_cached";
  const PlanView view = plan_view(op, plan, device_plan, heads, true);
  check_matrix(op, "k", k, plan.rows, heads.num_kv_heads * heads.head_size);
  check_matrix(op, "v", v, plan.rows, heads.num_kv_heads * heads.head_size);
  CHECK(k.dtype == v.dtype, "{}: k is {}, v {}", op, dtype_name(k.dtype), dtype_name(v.dtype));
  if (plan.queries == 0) return;
  with_storage(k.dtype, [&]<typename T>(T) {
    launch(kernels::store_cached<T>, static_cast<unsigned>(plan.queries), kTileThreads, 0, stream,
           cached_keys<T>(op, cache, plan, view, heads), data_of<T>(k), data_of<T>(v), view, head_shape(heads, false));
  });
}

int64_t attention_cached_scratch(const AttentionPlan& plan, const HeadLayout& heads) {
  return plan.room.partials * heads.num_heads * (head_width(heads.head_size) + 2);
}

void attention_cached(Tensor out, Tensor q, const KeyPages& cache, const AttentionPlan& plan, Tensor device_plan,
                      const HeadLayout& heads, Tensor scratch, Stream stream, Tensor lse) {
  const char* op = "attention_cached";
  const PlanView view = plan_view(op, plan, device_plan, heads, true);
  check_q(op, out, q, lse, plan, heads);
  const int64_t wanted = attention_cached_scratch(plan, heads);
  CHECK(scratch.size() >= wanted, "{}: scratch of {} numbers, wanted {}", op, scratch.size(), wanted);
  if (wanted > 0) check_on_device(op, "scratch", scratch);
  const HeadShape shape =
      head_shape(heads, rows_align(q, heads.head_size, 8) && rows_align(out, heads.head_size, 8) && cache_aligns(cache, q.dtype));
  with_storage(q.dtype, [&]<typename T>(T) {
    with_head_size(heads.head_size, [&]<int kD>(std::integral_constant<int, kD>) {
      const CachedKeys<T> keys = cached_keys<T>(op, cache, plan, view, heads);
      const kernels::ForwardArguments<T> arguments{data_of<T>(out), lse ? lse.f32() : nullptr,
                                                   wanted > 0 ? scratch.f32() : nullptr, data_of<T>(q), nullptr, view, shape};
      forward_tiles<T, kD, false>(plan.room.whole_tiles, view.whole, arguments, keys, stream);
      forward_tiles<T, kD, true>(plan.room.split_tiles, view.split, arguments, keys, stream);
      const int64_t rows = plan.queries * heads.num_heads;
      if (plan.partials > 0)
        launch(kernels::attention_combine<T, kD>, blocks_for(rows, kRowsAtOnce), kTileThreads, 0, stream, arguments,
               static_cast<int>(rows));
    });
  });
}

void attention_pack(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, const AttentionPlan& plan, Tensor device_plan,
                    const HeadLayout& heads, Stream stream) {
  const char* op = "attention_pack";
  const PlanView view = plan_view(op, plan, device_plan, heads, false);
  check_q(op, out, q, lse, plan, heads);
  CHECK(lse, "{}: no room for the log-sum-exps", op);
  const int64_t width = heads.num_kv_heads * heads.head_size;
  check_matrix(op, "k", k, plan.rows, width);
  check_matrix(op, "v", v, plan.rows, width);
  CHECK(k.dtype == q.dtype && v.dtype == q.dtype, "{}: q, k, v are {}, {}, {}", op, dtype_name(q.dtype),
        dtype_name(k.dtype), dtype_name(v.dtype));
  bool vectors = true;
  for (Tensor t : {out, q, k, v}) vectors = vectors && rows_align(t, heads.head_size, 8);
  with_storage(q.dtype, [&]<typename T>(T) {
    with_head_size(heads.head_size, [&]<int kD>(std::integral_constant<int, kD>) {
      const PackKeys<T> keys{data_of<T>(k), data_of<T>(v), static_cast<int>(width), static_cast<int>(heads.head_size)};
      forward_tiles<T, kD, false>(plan.whole_tiles, view.whole,
                                  kernels::ForwardArguments<T>{data_of<T>(out), lse.f32(), nullptr, data_of<T>(q), nullptr,
                                                               view, head_shape(heads, vectors)},
                                  keys, stream);
    });
  });
}

}  // namespace cohort::cuda
