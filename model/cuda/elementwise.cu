// Biases, casts and row moves on the GPU (elementwise.h). Memory bound; a block has one row, or a tile of columns.
#include "model/cuda/elementwise.h"

#include <algorithm>
#include <vector>

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/row_parts.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 128;

template <typename A, int kVector>
__global__ void __launch_bounds__(kThreads) add_bias(float* __restrict__ y, const A* __restrict__ bias, int columns) {
  float* row = y + static_cast<int64_t>(blockIdx.x) * columns;
  for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector) {
    float v[kVector], b[kVector];
    load(v, row + c);
    load(b, bias + c);
#pragma unroll
    for (int i = 0; i < kVector; ++i) v[i] += b[i];
    store(row + c, v);
  }
}

// Block (chunk of rows, tile of columns).
template <typename A>
__global__ void __launch_bounds__(kThreads)
    bias_chunks(float* __restrict__ chunk_sums, const A* __restrict__ dy, DeviceRowParts parts, int columns) {
  const int c = blockIdx.y * kThreads + threadIdx.x;
  if (c >= columns) return;
  const ChunkRows rows = rows_of_chunk(parts, blockIdx.x);
  float sum = 0;
  for (int t = rows.begin; t < rows.end; ++t) sum += to_f32(dy[static_cast<int64_t>(t) * columns + c]);
  chunk_sums[static_cast<int64_t>(blockIdx.x) * columns + c] = sum;
}

template <typename To, typename From, int kVector>
__global__ void __launch_bounds__(kThreads) cast(To* __restrict__ y, const From* __restrict__ x, int64_t n) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  if (at >= n) return;
  float v[kVector];
  load(v, x + at);
  store(y + at, v);
}

template <typename A, int kVector>
__global__ void __launch_bounds__(kThreads)
    gather_rows(A* __restrict__ y, const A* __restrict__ x, const A* __restrict__ other, const int32_t* __restrict__ rows,
                int columns, int64_t x_rows, int64_t other_rows) {
  const int64_t row = rows[blockIdx.x];
  const A* from = nullptr;
  if (row >= 0 && row < x_rows) from = x + row * columns;
  if (row < 0 && -1 - row < other_rows) from = other + (-1 - row) * columns;
  A* to = y + static_cast<int64_t>(blockIdx.x) * columns;
  for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector) {
    float v[kVector];
#pragma unroll
    for (int i = 0; i < kVector; ++i) v[i] = not_a_number();
    if (from != nullptr) load(v, from + c);
    store(to + c, v);
  }
}

// Block (i, tile of columns): the rows of dy that are added to row kept[i] of dx.
__global__ void __launch_bounds__(kThreads)
    scatter_add_rows(float* __restrict__ dx, const float* __restrict__ dy, const int32_t* __restrict__ begin,
                     const int32_t* __restrict__ rows, const int32_t* __restrict__ kept, int columns) {
  const int c = blockIdx.y * kThreads + threadIdx.x;
  if (c >= columns) return;
  float* to = dx + static_cast<int64_t>(kept[blockIdx.x]) * columns + c;
  float sum = *to;
  for (int i = begin[blockIdx.x]; i < begin[blockIdx.x + 1]; ++i) sum += dy[static_cast<int64_t>(rows[i]) * columns + c];
  *to = sum;
}

}  // namespace kernels

namespace {

constexpr int kVector = 4;

int as_columns(const char* op, int64_t columns) {
  CHECK(columns <= INT32_MAX / 2, "{}: rows of {}", op, columns);
  return static_cast<int>(columns);
}

}  // namespace

void add_bias(Tensor y, Tensor bias, Stream stream) {
  const int columns = as_columns("add_bias", y.cols());
  check_matrix("add_bias", "bias", bias, 1, columns);
  check_on_device("add_bias", "y", y);
  if (y.size() == 0) return;
  with_storage(bias.dtype, [&]<typename A>(A) {
    const bool vectors = rows_align(y, columns, kVector) && rows_align(bias, columns, kVector);
    launch(vectors ? kernels::add_bias<A, kVector> : kernels::add_bias<A, 1>, static_cast<unsigned>(y.rows()),
           kernels::kThreads, 0, stream, y.f32(), data_of<A>(bias), columns);
  });
}

int64_t bias_backward_scratch(int64_t rows, int64_t columns, std::span<const RowPart> parts) {
  return device_row_parts("bias_backward", parts, rows).chunks() * columns;
}

void bias_backward(Tensor dbias, Tensor dy, Tensor scratch, Stream stream, std::span<const RowPart> parts) {
  const char* op = "bias_backward";
  const int columns = as_columns(op, dbias.cols());
  const DeviceRowParts device_parts = device_row_parts(op, parts, dy.rows());
  check_matrix(op, "dy", dy, dy.rows(), columns);
  check_matrix(op, "dbias", dbias, 1, columns);
  check_on_device(op, "scratch", scratch);
  const int64_t wanted = device_parts.chunks() * int64_t{columns};
  CHECK(scratch.size() >= wanted, "{}: scratch of {} numbers, wanted {}", op, scratch.size(), wanted);
  if (wanted > 0) {
    with_storage(dy.dtype, [&]<typename A>(A) {
      launch(kernels::bias_chunks<A>, dim3(static_cast<unsigned>(device_parts.chunks()), blocks_for(columns, kernels::kThreads)),
             kernels::kThreads, 0, stream, scratch.f32(), data_of<A>(dy), device_parts, columns);
    });
  }
  sum_parts(dbias.f32(), scratch.f32(), device_parts, columns, stream);
}

void cast(Tensor y, Tensor x, Stream stream) {
  check_matrix("cast", "y", y, x.rows(), x.cols());
  check_on_device("cast", "x", x);
  const int64_t n = x.size();
  if (n == 0) return;
  with_storage(y.dtype, [&]<typename To>(To) {
    with_storage(x.dtype, [&]<typename From>(From) {
      const bool vectors = rows_align(y, n, kVector) && rows_align(x, n, kVector);
      launch(vectors ? kernels::cast<To, From, kVector> : kernels::cast<To, From, 1>,
             blocks_for(n, kernels::kThreads * (vectors ? kVector : 1)), kernels::kThreads, 0, stream, data_of<To>(y),
             data_of<From>(x), n);
    });
  });
}

void gather_rows(Tensor y, Tensor x, Tensor rows, Stream stream, Tensor other) {
  const char* op = "gather_rows";
  const int columns = as_columns(op, y.cols());
  check_matrix(op, "y", y, rows.size(), columns);
  check_matrix(op, "x", x, x.rows(), columns);
  check_on_device(op, "rows", rows);
  if (other) check_matrix(op, "other", other, other.rows(), columns);
  CHECK(x.dtype == y.dtype && (!other || other.dtype == y.dtype), "{}: {} and {} to {}", op, dtype_name(x.dtype),
        dtype_name(other.dtype), dtype_name(y.dtype));
  if (y.size() == 0) return;
  with_storage(y.dtype, [&]<typename A>(A) {
    const bool vectors = rows_align(y, columns, kVector) && rows_align(x, columns, kVector) && rows_align(other, columns, kVector);
    launch(vectors ? kernels::gather_rows<A, kVector> : kernels::gather_rows<A, 1>, static_cast<unsigned>(rows.size()),
           kernels::kThreads, 0, stream, data_of<A>(y), data_of<A>(x), data_of<A>(other), rows.i32(), columns, x.rows(),
           other ? other.rows() : 0);
  });
}

EmbeddingOrder scatter_order(std::span<const int32_t> rows, int64_t dx_rows) {
  std::vector<int32_t> kept(rows.begin(), rows.end());
  std::ranges::sort(kept);
  const auto [first, last] = std::ranges::unique(kept);
  kept.erase(first, last);
  return embedding_order(rows, kept, dx_rows);
}

void scatter_add_rows(Tensor dx, Tensor dy, const EmbeddingOrder& order, Tensor device_order, Stream stream) {
  const char* op = "scatter_add_rows";
  const int columns = as_columns(op, dx.cols());
  check_matrix(op, "dy", dy, order.tokens, columns);
  check_on_device(op, "dx", dx);
  check_on_device(op, "the order", device_order);
  CHECK(order.parts == 1 && device_order.size() == static_cast<int64_t>(order.numbers.size()),
        "{}: an order of {} numbers in {} parts, wanted {} in 1", op, device_order.size(), order.parts, order.numbers.size());
  if (order.kept == 0 || columns == 0) return;
  const int32_t *begin = device_order.i32(), *rows = begin + order.kept + 1, *kept = rows + order.tokens;
  launch(kernels::scatter_add_rows, dim3(static_cast<unsigned>(order.kept), blocks_for(columns, kernels::kThreads)),
         kernels::kThreads, 0, stream, dx.f32(), dy.f32(), begin, rows, kept, columns);
}

}  // namespace cohort::cuda
