// Root mean square norms on the GPU (norm.h). A block works on one row (forward) or one chunk of rows (backward), a
// thread on every kThreads-th group of kVector columns.
//
// Memory bound: the forward pass reads x and writes y once; the second look at a row finds it in the L1 cache.
#include "model/cuda/norm.h"

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/platform/reduce.cuh"
#include "model/cuda/row_parts.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 256;

// kAdd: y += norm(x), in f32.
template <typename A, typename Y, int kVector, bool kAdd>
__global__ void __launch_bounds__(kThreads)
    rmsnorm(Y* __restrict__ y, float* __restrict__ rstd, const float* __restrict__ x, const A* __restrict__ gain,
            int columns, float eps, float offset) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * columns;
  float squares = 0;
  for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector) {
    float v[kVector];
    load(v, x + row + c);
#pragma unroll
    for (int i = 0; i < kVector; ++i) squares = __fmaf_rn(v[i], v[i], squares);
  }
  squares = block_sum<kThreads>(squares);
  const float scale = __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(squares, static_cast<float>(columns)) + eps));
  if (rstd != nullptr && threadIdx.x == 0) rstd[blockIdx.x] = scale;
  for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector) {
    float v[kVector], g[kVector], before[kVector];
    load(v, x + row + c);
    load(g, gain + c);
    if constexpr (kAdd) load(before, y + row + c);
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      v[i] = v[i] * scale * (g[i] + offset);
      if constexpr (kAdd) v[i] = before[i] + v[i];
    }
    store(y + row + c, v);
  }
}

// Rows of one chunk: dx += rstd (g dy - xhat mean(g dy xhat)), g = offset + gain, and the chunk's sum of dy xhat. A
// thread owns its columns in `sums`, so that they need no barrier.
template <typename A, int kVector>
__global__ void __launch_bounds__(kThreads)
    rmsnorm_backward(float* __restrict__ dx, float* __restrict__ chunk_sums, const float* __restrict__ dy,
                     const float* __restrict__ x, const A* __restrict__ gain, const float* __restrict__ rstd,
                     DeviceRowParts parts, int columns, float offset) {
  GPU_DYNAMIC_SHARED(shared);
  float* sums = reinterpret_cast<float*>(shared);
  for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector)
    for (int i = 0; i < kVector; ++i) sums[c + i] = 0;
  const ChunkRows rows = rows_of_chunk(parts, blockIdx.x);
  for (int t = rows.begin; t < rows.end; ++t) {
    const int64_t row = static_cast<int64_t>(t) * columns;
    float dot = 0;
    for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector) {
      float d[kVector], v[kVector], g[kVector];
      load(d, dy + row + c);
      load(v, x + row + c);
      load(g, gain + c);
#pragma unroll
      for (int i = 0; i < kVector; ++i) dot = __fmaf_rn((g[i] + offset) * d[i], v[i], dot);
    }
    dot = block_sum<kThreads>(dot);
    const float scale = rstd[t];
    const float along = __fdiv_rn(-dot * scale * scale, static_cast<float>(columns));
    for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector) {
      float d[kVector], v[kVector], g[kVector], change[kVector];
      load(d, dy + row + c);
      load(v, x + row + c);
      load(g, gain + c);
      load(change, dx + row + c);
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        change[i] += __fmaf_rn(v[i], along, (g[i] + offset) * d[i]) * scale;
        sums[c + i] = __fmaf_rn(d[i], v[i] * scale, sums[c + i]);
      }
      store(dx + row + c, change);
    }
  }
  for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector)
    for (int i = 0; i < kVector; ++i) chunk_sums[static_cast<int64_t>(blockIdx.x) * columns + c + i] = sums[c + i];
}

}  // namespace kernels

namespace {

constexpr int kVector = 4;

// C as a kernel's int, after checks that both directions share.
int check_norm(const char* op, Tensor y, Tensor rstd, Tensor x, Tensor gain) {
  check_matrix(op, "x", x, x.rows(), x.cols());
  check_matrix(op, "y", y, x.rows(), x.cols());
  check_matrix(op, "gain", gain, 1, x.cols());
  check_on_device(op, "rstd", rstd);
  CHECK(!rstd || rstd.size() == x.rows(), "{}: {} scales for {} rows", op, rstd.size(), x.rows());
  CHECK(x.cols() <= INT32_MAX / 2, "{}: rows of {}", op, x.cols());
  return static_cast<int>(x.cols());
}

template <bool kAdd, typename Y, typename A>
void launch_rmsnorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, int columns,
                    Stream stream) {
  const bool vectors =
      rows_align(y, columns, kVector) && rows_align(x, columns, kVector) && rows_align(gain, columns, kVector);
  launch(vectors ? kernels::rmsnorm<A, Y, kVector, kAdd> : kernels::rmsnorm<A, Y, 1, kAdd>,
         static_cast<unsigned>(x.rows()), kernels::kThreads, 0, stream, data_of<Y>(y), rstd ? rstd.f32() : nullptr,
         x.f32(), data_of<A>(gain), columns, params.eps, params.offset);
}

}  // namespace

void rmsnorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, Stream stream) {
  const int columns = check_norm("rmsnorm", y, rstd, x, gain);
  CHECK(y.dtype == gain.dtype, "rmsnorm: gain is {}, y is {}", dtype_name(gain.dtype), dtype_name(y.dtype));
  if (x.size() == 0) return;
  with_storage(y.dtype, [&]<typename A>(A) { launch_rmsnorm<false, A, A>(y, rstd, x, gain, params, columns, stream); });
}

void rmsnorm_add(Tensor sum, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, Stream stream) {
  const int columns = check_norm("rmsnorm_add", sum, rstd, x, gain);
  CHECK(sum.dtype == DType::f32, "rmsnorm_add: sum is {}, wanted float32", dtype_name(sum.dtype));
  if (x.size() == 0) return;
  with_storage(gain.dtype,
               [&]<typename A>(A) { launch_rmsnorm<true, float, A>(sum, rstd, x, gain, params, columns, stream); });
}

int64_t rmsnorm_backward_scratch(int64_t rows, int64_t columns, std::span<const RowPart> parts) {
  return device_row_parts("rmsnorm_backward", parts, rows).chunks() * columns;
}

void rmsnorm_backward(Tensor dx, Tensor dgain, Tensor dy, Tensor x, Tensor gain, Tensor rstd, float offset,
                      Tensor scratch, Stream stream, std::span<const RowPart> parts) {
  const char* op = "rmsnorm_backward";
  const int columns = check_norm(op, dx, rstd, x, gain);
  const DeviceRowParts device_parts = device_row_parts(op, parts, x.rows());
  check_matrix(op, "dy", dy, x.rows(), columns);
  check_matrix(op, "dgain", dgain, 1, columns);
  check_on_device(op, "scratch", scratch);
  CHECK(rstd, "{}: the forward pass kept no scales", op);
  CHECK(scratch.size() >= device_parts.chunks() * int64_t{columns}, "{}: scratch of {} numbers, wanted {}", op,
        scratch.size(), device_parts.chunks() * int64_t{columns});
  float* chunk_sums = scratch.f32();
  if (device_parts.chunks() > 0) {
    with_storage(gain.dtype, [&]<typename A>(A) {
      const bool vectors = rows_align(dx, columns, kVector) && rows_align(dy, columns, kVector) &&
                           rows_align(x, columns, kVector) && rows_align(gain, columns, kVector);
      launch(vectors ? kernels::rmsnorm_backward<A, kVector> : kernels::rmsnorm_backward<A, 1>,
             static_cast<unsigned>(device_parts.chunks()), kernels::kThreads,
             static_cast<size_t>(columns) * sizeof(float), stream, dx.f32(), chunk_sums, dy.f32(), x.f32(),
             data_of<A>(gain), rstd.f32(), device_parts, columns, offset);
    });
  }
  sum_parts(dgain.f32(), chunk_sums, device_parts, columns, stream);
}

}  // namespace cohort::cuda
