// Rotary position embedding on the GPU (rope.h). A block turns one row: sine and cosine of its D / 2 angles once, for all
// heads. Forward splits the row into q, k, v; backward turns back and joins them.
#include "model/cuda/rope.h"

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 128;
constexpr int kMaxHeadSize = 256;

struct HeadRow {
  int heads, kv_heads, half;  // half: D / 2
};

// (a, b) -> (a cos - b sin, b cos + a sin) for kVector pairs of one head, `sign` -1 turns back.
template <int kVector, typename To, typename From>
__device__ __forceinline__ void turn(To* to, const From* from, int half, int i, const float* cosines,
                                     const float* sines, float sign) {
  float a[kVector], b[kVector], low[kVector], high[kVector];
  load(a, from + i);
  load(b, from + half + i);
#pragma unroll
  for (int j = 0; j < kVector; ++j) {
    const float c = cosines[i + j], s = sines[i + j] * sign;
    low[j] = __fmaf_rn(a[j], c, -(b[j] * s));
    high[j] = __fmaf_rn(b[j], c, a[j] * s);
  }
  store(to + i, low);
  store(to + half + i, high);
}

// kForward: q, k, v from qkv. Else qkv from q, k, v.
template <bool kForward, int kVector, typename Split, typename Joined>
__global__ void __launch_bounds__(kThreads)
    rope(Split* __restrict__ q, Split* __restrict__ k, Split* __restrict__ v, Joined* __restrict__ qkv,
         const int32_t* __restrict__ positions, const float* __restrict__ inverse_frequency, HeadRow row) {
  GPU_SHARED(float, cosines, [kMaxHeadSize / 2]);
  GPU_SHARED(float, sines, [kMaxHeadSize / 2]);
  const int64_t t = blockIdx.x;
  const float position = static_cast<float>(positions[t]);
  for (int i = threadIdx.x; i < row.half; i += kThreads)
    sincosf(position * inverse_frequency[i], &sines[i], &cosines[i]);
  __syncthreads();

  const int D = 2 * row.half, q_width = row.heads * D, kv_width = row.kv_heads * D;
  Joined* joined = qkv + t * (q_width + 2 * kv_width);
  q += t * q_width;
  k += t * kv_width;
  v += t * kv_width;
  const int per_head = row.half / kVector, pairs = (row.heads + row.kv_heads) * per_head;
  for (int p = threadIdx.x; p < pairs; p += kThreads) {
    const int head = p / per_head, i = p % per_head * kVector;
    Split* split = head < row.heads ? q + head * D : k + (head - row.heads) * D;
    if constexpr (kForward) {
      turn<kVector>(split, joined + head * D, row.half, i, cosines, sines, 1.0f);
    } else {
      turn<kVector>(joined + head * D, split, row.half, i, cosines, sines, -1.0f);
    }
  }
  for (int i = threadIdx.x * kVector; i < kv_width; i += kThreads * kVector) {
    float values[kVector];
    if constexpr (kForward) {
      load(values, joined + q_width + kv_width + i);
      store(v + i, values);
    } else {
      load(values, v + i);
      store(joined + q_width + kv_width + i, values);
    }
  }
}

}  // namespace kernels

namespace {

constexpr int kVector = 4;

template <bool kForward, typename Split, typename Joined>
void launch_rope(const char* op, Tensor q, Tensor k, Tensor v, Tensor qkv, Tensor positions, Tensor inverse_frequency,
                 int64_t num_heads, int64_t num_kv_heads, Stream stream) {
  const int64_t T = positions.size(), half = inverse_frequency.size(), D = 2 * half;
  CHECK(D > 0 && D <= kernels::kMaxHeadSize, "{}: head size {}; allowed are 2 to {}", op, D, kernels::kMaxHeadSize);
  check_matrix(op, "qkv", qkv, T, (num_heads + 2 * num_kv_heads) * D);
  check_matrix(op, "q", q, T, num_heads * D);
  check_matrix(op, "k", k, T, num_kv_heads * D);
  check_matrix(op, "v", v, T, num_kv_heads * D);
  check_on_device(op, "positions", positions);
  check_on_device(op, "inverse_frequency", inverse_frequency);
  CHECK(k.dtype == q.dtype && v.dtype == q.dtype, "{}: q, k, v are {}, {}, {}", op, dtype_name(q.dtype),
        dtype_name(k.dtype), dtype_name(v.dtype));
  if (T == 0) return;
  bool vectors = true;
  for (const Tensor& t : {q, k, v, qkv}) vectors = vectors && rows_align(t, half, kVector);
  const kernels::HeadRow row{static_cast<int>(num_heads), static_cast<int>(num_kv_heads), static_cast<int>(half)};
  launch(vectors ? kernels::rope<kForward, kVector, Split, Joined> : kernels::rope<kForward, 1, Split, Joined>,
         static_cast<unsigned>(T), kernels::kThreads, 0, stream, data_of<Split>(q), data_of<Split>(k),
         data_of<Split>(v), data_of<Joined>(qkv), positions.i32(), inverse_frequency.f32(), row);
}

}  // namespace

void rope_split(Tensor q, Tensor k, Tensor v, Tensor qkv, Tensor positions, Tensor inverse_frequency, int64_t num_heads,
                int64_t num_kv_heads, Stream stream) {
  (void)qkv.f32();
  with_storage(q.dtype, [&]<typename A>(A) {
    launch_rope<true, A, float>("rope_split", q, k, v, qkv, positions, inverse_frequency, num_heads, num_kv_heads,
                                stream);
  });
}

void rope_split_backward(Tensor dqkv, Tensor dq, Tensor dk, Tensor dv, Tensor positions, Tensor inverse_frequency,
                         int64_t num_heads, int64_t num_kv_heads, Stream stream) {
  (void)dq.f32();
  with_storage(dqkv.dtype, [&]<typename A>(A) {
    launch_rope<false, float, A>("rope_split_backward", dq, dk, dv, dqkv, positions, inverse_frequency, num_heads,
                                 num_kv_heads, stream);
  });
}

}  // namespace cohort::cuda
