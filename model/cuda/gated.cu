// Gated linear units on the GPU (gated.h): each thread one group of kVector columns of one row. Memory bound.
#include "model/cuda/gated.h"

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 256;

__device__ __forceinline__ float sigmoid(float z) { return __fdiv_rn(1.0f, 1.0f + expf(-z)); }

// A gate's value f(z) and slope f'(z).
struct Gate {
  float value, slope;
};

// silu' = s + silu (1 - s), s the sigmoid.
struct Silu {
  static __device__ __forceinline__ float value(float z) { return z * sigmoid(z); }
  static __device__ __forceinline__ Gate both(float z) {
    const float s = sigmoid(z), silu = z * s;
    return {silu, __fmaf_rn(silu, 1.0f - s, s)};
  }
};

// (1 + tanh(u)) / 2 is sigmoid(2u), so gelu(z) = z sigmoid(2u), u = sqrt(2 / pi) (z + 0.044715 z^3).
struct Gelu {
  static constexpr float kTwoRoot = 0x1.988454p+0f, kCubic = 0.044715f;  // 2 sqrt(2 / pi)
  static __device__ __forceinline__ float twice_u(float z, float squares) {
    return z * kTwoRoot * __fmaf_rn(squares, kCubic, 1.0f);
  }
  static __device__ __forceinline__ float value(float z) { return z * sigmoid(twice_u(z, z * z)); }
  static __device__ __forceinline__ Gate both(float z) {
    const float squares = z * z, s = sigmoid(twice_u(z, squares)), gelu = z * s;
    const float slope_of_u = kTwoRoot * __fmaf_rn(squares, 3 * kCubic, 1.0f);
    // Far out 1 - s or s is 0 while the slope of u may be infinite; there gelu is z or 0.
    return {gelu, __fmaf_rn(gelu * (1.0f - s), fminf(slope_of_u, 1e30f), s)};
  }
};

template <typename Function, typename A, int kVector>
__global__ void __launch_bounds__(kThreads)
    gated(A* __restrict__ y, const A* __restrict__ gate_up, int64_t groups, int per_row) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (group >= groups) return;
  const int64_t t = group / per_row, width = static_cast<int64_t>(per_row) * kVector;
  const A* gate = gate_up + t * 2 * width + group % per_row * kVector;
  float z[kVector], up[kVector];
  load(z, gate);
  load(up, gate + width);
#pragma unroll
  for (int i = 0; i < kVector; ++i) z[i] = Function::value(z[i]) * up[i];
  store(y + group * kVector, z);
}

template <typename Function, typename A, int kVector>
__global__ void __launch_bounds__(kThreads)
    gated_backward(A* __restrict__ dgate_up, A* y, const A* dy, const A* __restrict__ gate_up, int64_t groups, int per_row) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (group >= groups) return;
  const int64_t t = group / per_row, width = static_cast<int64_t>(per_row) * kVector;
  const int64_t at = t * 2 * width + group % per_row * kVector;
  float z[kVector], up[kVector], d[kVector], dgate[kVector], dup[kVector], value[kVector];
  load(z, gate_up + at);
  load(up, gate_up + at + width);
  load(d, dy + group * kVector);
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    const Gate gate = Function::both(z[i]);
    dgate[i] = d[i] * up[i] * gate.slope;
    dup[i] = d[i] * gate.value;
    value[i] = gate.value * up[i];
  }
  store(dgate_up + at, dgate);
  store(dgate_up + at + width, dup);
  store(y + group * kVector, value);  // which may be dy
}

}  // namespace kernels

namespace {

// Numbers in 16 bytes.
template <typename A>
constexpr int kVectorOf = 16 / sizeof(A);

template <typename Function>
void gated(const char* op, Tensor y, Tensor gate_up, Stream stream) {
  const int64_t T = y.rows(), F = y.cols();
  check_matrix(op, "y", y, T, F);
  check_matrix(op, "gate_up", gate_up, T, 2 * F);
  CHECK(y.dtype == gate_up.dtype, "{}: {} to {}", op, dtype_name(gate_up.dtype), dtype_name(y.dtype));
  if (y.size() == 0) return;
  with_storage(y.dtype, [&]<typename A>(A) {
    constexpr int kMost = kVectorOf<A>;
    const int vector = rows_align(y, F, kMost) && rows_align(gate_up, F, kMost) ? kMost : 1;
    const int64_t groups = T * F / vector;
    launch(vector == kMost ? kernels::gated<Function, A, kMost> : kernels::gated<Function, A, 1>,
           blocks_for(groups, kernels::kThreads), kernels::kThreads, 0, stream, data_of<A>(y), data_of<A>(gate_up), groups,
           static_cast<int>(F / vector));
  });
}

template <typename Function>
void gated_backward(const char* op, Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Stream stream) {
  const int64_t T = dy.rows(), F = dy.cols();
  check_matrix(op, "dy", dy, T, F);
  check_matrix(op, "y", y, T, F);
  check_matrix(op, "gate_up", gate_up, T, 2 * F);
  check_matrix(op, "dgate_up", dgate_up, T, 2 * F);
  const auto of_type = [&](Tensor t) { return t.dtype == gate_up.dtype; };
  CHECK(of_type(y) && of_type(dy) && of_type(dgate_up), "{}: {} and {} to {} and {}", op, dtype_name(dy.dtype),
        dtype_name(gate_up.dtype), dtype_name(dgate_up.dtype), dtype_name(y.dtype));
  if (dy.size() == 0) return;
  with_storage(dy.dtype, [&]<typename A>(A) {
    constexpr int kMost = kVectorOf<A>;
    const bool vectors = rows_align(dy, F, kMost) && rows_align(y, F, kMost) && rows_align(gate_up, F, kMost) && rows_align(dgate_up, F, kMost);
    const int vector = vectors ? kMost : 1;
    const int64_t groups = T * F / vector;
    launch(vectors ? kernels::gated_backward<Function, A, kMost> : kernels::gated_backward<Function, A, 1>,
           blocks_for(groups, kernels::kThreads), kernels::kThreads, 0, stream, data_of<A>(dgate_up), data_of<A>(y),
           data_of<A>(dy), data_of<A>(gate_up), groups, static_cast<int>(F / vector));
  });
}

}  // namespace

void swiglu(Tensor y, Tensor gate_up, Stream stream) { gated<kernels::Silu>("swiglu", y, gate_up, stream); }
void swiglu_backward(Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Stream stream) {
  gated_backward<kernels::Silu>("swiglu_backward", dgate_up, y, dy, gate_up, stream);
}

void geglu(Tensor y, Tensor gate_up, Stream stream) { gated<kernels::Gelu>("geglu", y, gate_up, stream); }
void geglu_backward(Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Stream stream) {
  gated_backward<kernels::Gelu>("geglu_backward", dgate_up, y, dy, gate_up, stream);
}

}  // namespace cohort::cuda
