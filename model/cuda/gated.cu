// Gated linear units on the GPU (gated.h): each thread one group of kVector columns of one row. Memory bound.
#include "model/cuda/gated.h"

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 256;

__device__ __forceinline__ float sigmoid(float z) { return __fdiv_rn(1.0f, 1.0f + expf(-z)); }

template <typename A, int kVector>
__global__ void __launch_bounds__(kThreads)
    swiglu(A* __restrict__ y, const A* __restrict__ gate_up, int64_t groups, int per_row) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (group >= groups) return;
  const int64_t t = group / per_row, width = static_cast<int64_t>(per_row) * kVector;
  const A* gate = gate_up + t * 2 * width + group % per_row * kVector;
  float z[kVector], up[kVector];
  load(z, gate);
  load(up, gate + width);
#pragma unroll
  for (int i = 0; i < kVector; ++i) z[i] = z[i] * sigmoid(z[i]) * up[i];
  store(y + group * kVector, z);
}

// silu' = s + silu (1 - s), s the sigmoid.
template <typename A, int kVector>
__global__ void __launch_bounds__(kThreads)
    swiglu_backward(A* __restrict__ dgate_up, const A* __restrict__ dy, const A* __restrict__ gate_up, int64_t groups,
                    int per_row) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (group >= groups) return;
  const int64_t t = group / per_row, width = static_cast<int64_t>(per_row) * kVector;
  const int64_t at = t * 2 * width + group % per_row * kVector;
  float z[kVector], up[kVector], d[kVector], dgate[kVector], dup[kVector];
  load(z, gate_up + at);
  load(up, gate_up + at + width);
  load(d, dy + group * kVector);
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    const float s = sigmoid(z[i]), silu = z[i] * s;
    dgate[i] = d[i] * up[i] * __fmaf_rn(silu, 1.0f - s, s);
    dup[i] = d[i] * silu;
  }
  store(dgate_up + at, dgate);
  store(dgate_up + at + width, dup);
}

}  // namespace kernels

namespace {

// Numbers in 16 bytes.
template <typename A>
constexpr int kVectorOf = 16 / sizeof(A);

}  // namespace

void swiglu(Tensor y, Tensor gate_up, Stream stream) {
  const int64_t T = y.rows(), F = y.cols();
  check_matrix("swiglu", "y", y, T, F);
  check_matrix("swiglu", "gate_up", gate_up, T, 2 * F);
  CHECK(y.dtype == gate_up.dtype, "swiglu: {} to {}", dtype_name(gate_up.dtype), dtype_name(y.dtype));
  if (y.size() == 0) return;
  with_storage(y.dtype, [&]<typename A>(A) {
    constexpr int kMost = kVectorOf<A>;
    const int vector = rows_align(y, F, kMost) && rows_align(gate_up, F, kMost) ? kMost : 1;
    const int64_t groups = T * F / vector;
    launch(vector == kMost ? kernels::swiglu<A, kMost> : kernels::swiglu<A, 1>, blocks_for(groups, kernels::kThreads),
           kernels::kThreads, 0, stream, data_of<A>(y), data_of<A>(gate_up), groups, static_cast<int>(F / vector));
  });
}

void swiglu_backward(Tensor dgate_up, Tensor dy, Tensor gate_up, Stream stream) {
  const char* op = "swiglu_backward";
  const int64_t T = dy.rows(), F = dy.cols();
  check_matrix(op, "dy", dy, T, F);
  check_matrix(op, "gate_up", gate_up, T, 2 * F);
  check_matrix(op, "dgate_up", dgate_up, T, 2 * F);
  CHECK(dy.dtype == gate_up.dtype && dgate_up.dtype == gate_up.dtype, "{}: {} and {} to {}", op, dtype_name(dy.dtype),
        dtype_name(gate_up.dtype), dtype_name(dgate_up.dtype));
  if (dy.size() == 0) return;
  with_storage(dy.dtype, [&]<typename A>(A) {
    constexpr int kMost = kVectorOf<A>;
    const bool vectors = rows_align(dy, F, kMost) && rows_align(gate_up, F, kMost) && rows_align(dgate_up, F, kMost);
    const int vector = vectors ? kMost : 1;
    const int64_t groups = T * F / vector;
    launch(vectors ? kernels::swiglu_backward<A, kMost> : kernels::swiglu_backward<A, 1>,
           blocks_for(groups, kernels::kThreads), kernels::kThreads, 0, stream, data_of<A>(dgate_up), data_of<A>(dy),
           data_of<A>(gate_up), groups, static_cast<int>(F / vector));
  });
}

}  // namespace cohort::cuda
