// Norms of each query and key head on the GPU (norm.h), a warp a head: lane l has columns l, l + 32, ...
#include "model/cuda/norm.h"
#include "model/cuda/platform/launch.cuh"
#include "model/cuda/platform/reduce.cuh"
#include "model/cuda/row_parts.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kMaxHeadSize = 256, kLaneColumns = kMaxHeadSize / 32;

struct QkRow {
  int heads, kv_heads, D;
  __device__ __forceinline__ int normed() const { return heads + kv_heads; }
  __device__ __forceinline__ int64_t width() const { return static_cast<int64_t>(heads + 2 * kv_heads) * D; }
};

// Block: one row.
template <typename A>
__global__ void __launch_bounds__(kThreads)
    qk_norm(float* __restrict__ qkv, float* __restrict__ raw, float* __restrict__ rstd, const A* __restrict__ q_gain,
            const A* __restrict__ k_gain, QkRow shape, float eps, float offset) {
  const int64_t t = blockIdx.x;
  const int lane = threadIdx.x % 32;
  for (int h = threadIdx.x / 32; h < shape.normed(); h += kWarps) {
    float* row = qkv + t * shape.width() + h * shape.D;
    const A* gain = h < shape.heads ? q_gain : k_gain;
    float squares = 0;
    for (int c = lane; c < shape.D; c += 32) squares = __fmaf_rn(row[c], row[c], squares);
    squares = warp_sum(squares);
    const float scale = __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(squares, static_cast<float>(shape.D)) + eps));
    const int64_t head = t * shape.normed() + h;
    for (int c = lane; c < shape.D; c += 32) {
      const float x = row[c];
      if (raw != nullptr) raw[head * shape.D + c] = x;
      row[c] = x * scale * (to_f32(gain[c]) + offset);
    }
    if (rstd != nullptr && lane == 0) rstd[head] = scale;
  }
}

// Block: one chunk of rows. Its warps take heads in turn, row after row, and their sums of dy xhat meet in the order of
// warps.    chunk_sums (2, chunks, D): queries', then keys'
template <typename A>
__global__ void __launch_bounds__(kThreads)
    qk_norm_backward(float* __restrict__ dqkv, float* __restrict__ chunk_sums, const float* __restrict__ raw,
                     const float* __restrict__ rstd, const A* __restrict__ q_gain, const A* __restrict__ k_gain,
                     DeviceRowParts parts, QkRow shape, float offset) {
  GPU_SHARED(float, sums, [kWarps][2][kMaxHeadSize]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float own[2][kLaneColumns] = {};
  const ChunkRows rows = rows_of_chunk(parts, blockIdx.x);
  const int heads = shape.normed(), items = (rows.end - rows.begin) * heads;
  for (int item = warp; item < items; item += kWarps) {
    const int64_t t = rows.begin + item / heads, head = t * heads + item % heads;
    const bool is_key = item % heads >= shape.heads;
    const A* gain = is_key ? k_gain : q_gain;
    float* dy = dqkv + t * shape.width() + item % heads * shape.D;
    const float* x = raw + head * shape.D;
    const float scale = rstd[head];
    float dot = 0;
    for (int c = lane; c < shape.D; c += 32) dot = __fmaf_rn((to_f32(gain[c]) + offset) * dy[c], x[c], dot);
    dot = warp_sum(dot);
    const float along = __fdiv_rn(-dot * scale * scale, static_cast<float>(shape.D));
#pragma unroll
    for (int i = 0; i < kLaneColumns; ++i) {
      const int c = lane + 32 * i;
      if (c >= shape.D) continue;
      const float d = dy[c], part = d * (x[c] * scale);
      own[0][i] += is_key ? 0.0f : part;
      own[1][i] += is_key ? part : 0.0f;
      dy[c] = __fmaf_rn(x[c], along, (to_f32(gain[c]) + offset) * d) * scale;
    }
  }
#pragma unroll
  for (int i = 0; i < kLaneColumns; ++i) {
    sums[warp][0][lane + 32 * i] = own[0][i];
    sums[warp][1][lane + 32 * i] = own[1][i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 2 * shape.D; i += kThreads) {
    const int side = i / shape.D, c = i % shape.D;
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += sums[w][side][c];
    chunk_sums[(static_cast<int64_t>(side) * gridDim.x + blockIdx.x) * shape.D + c] = sum;
  }
}

}  // namespace kernels

namespace {

kernels::QkRow check_qk(const char* op, Tensor qkv, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain,
                        const QkHeads& h) {
  const int64_t heads = h.num_heads + h.num_kv_heads, rows = qkv.rows();
  CHECK(h.head_size > 0 && h.head_size <= kernels::kMaxHeadSize, "{}: a head size of {}; at most {}", op, h.head_size,
        kernels::kMaxHeadSize);
  check_matrix(op, "qkv", qkv, rows, (heads + h.num_kv_heads) * h.head_size);
  check_matrix(op, "q_gain", q_gain, 1, h.head_size);
  check_matrix(op, "k_gain", k_gain, 1, h.head_size);
  CHECK(q_gain.dtype == k_gain.dtype, "{}: gains of {} and {}", op, dtype_name(q_gain.dtype), dtype_name(k_gain.dtype));
  if (raw) check_matrix(op, "raw", raw, rows, heads * h.head_size);
  if (rstd) check_matrix(op, "rstd", rstd, rows, heads);
  return {static_cast<int>(h.num_heads), static_cast<int>(h.num_kv_heads), static_cast<int>(h.head_size)};
}

}  // namespace

void qk_norm(Tensor qkv, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain, const QkHeads& heads,
             const NormParams& params, Stream stream) {
  const kernels::QkRow shape = check_qk("qk_norm", qkv, raw, rstd, q_gain, k_gain, heads);
  if (qkv.size() == 0) return;
  with_storage(q_gain.dtype, [&]<typename A>(A) {
    launch(kernels::qk_norm<A>, static_cast<unsigned>(qkv.rows()), kernels::kThreads, 0, stream, qkv.f32(),
           raw ? raw.f32() : nullptr, rstd ? rstd.f32() : nullptr, data_of<A>(q_gain), data_of<A>(k_gain), shape, params.eps,
           params.offset);
  });
}

int64_t qk_norm_backward_scratch(int64_t rows, int64_t head_size, std::span<const RowPart> parts) {
  return device_row_parts("qk_norm_backward", parts, rows).chunks() * 2 * head_size;
}

void qk_norm_backward(Tensor dqkv, Tensor dq_gain, Tensor dk_gain, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain,
                      const QkHeads& heads, float offset, Tensor scratch, Stream stream, std::span<const RowPart> parts) {
  const char* op = "qk_norm_backward";
  CHECK(raw && rstd, "{}: the forward pass kept nothing", op);
  const kernels::QkRow shape = check_qk(op, dqkv, raw, rstd, q_gain, k_gain, heads);
  check_matrix(op, "dq_gain", dq_gain, 1, shape.D);
  check_matrix(op, "dk_gain", dk_gain, 1, shape.D);
  const DeviceRowParts device_parts = device_row_parts(op, parts, dqkv.rows());
  const int64_t one_side = device_parts.chunks() * int64_t{shape.D};
  CHECK(scratch.size() >= 2 * one_side, "{}: scratch of {} numbers, wanted {}", op, scratch.size(), 2 * one_side);
  check_on_device(op, "scratch", scratch);
  float* chunk_sums = scratch.f32();
  if (device_parts.chunks() > 0) {
    with_storage(q_gain.dtype, [&]<typename A>(A) {
      launch(kernels::qk_norm_backward<A>, static_cast<unsigned>(device_parts.chunks()), kernels::kThreads, 0, stream,
             dqkv.f32(), chunk_sums, raw.f32(), rstd.f32(), data_of<A>(q_gain), data_of<A>(k_gain), device_parts, shape,
             offset);
    });
  }
  sum_parts(dq_gain.f32(), chunk_sums, device_parts, shape.D, stream);
  sum_parts(dk_gain.f32(), chunk_sums + one_side, device_parts, shape.D, stream);
}

}  // namespace cohort::cuda
