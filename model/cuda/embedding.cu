// Embedding on the GPU (embedding.h). Each sum of the backward pass is one chain of multiply-adds in the order of rows, a
// thread a column (or kVector of them): no atomics, the CPU's bits.
#include "model/cuda/embedding.h"

#include "model/cuda/platform/launch.cuh"
#include "model/cuda/tensors.cuh"

namespace cohort::cuda {
namespace kernels {

constexpr int kThreads = 128;

template <typename A, int kVector>
__global__ void __launch_bounds__(kThreads)
    embedding(float* __restrict__ x, const int32_t* __restrict__ tokens, const int32_t* __restrict__ drawn, int drawn_count,
              const A* __restrict__ table, int columns, int64_t vocab, float scale) {
  const int64_t t = blockIdx.x;
  int32_t token = tokens[t];
  if (token < 0 && token >= -drawn_count) token = drawn[-1 - token];
  const bool inside = token >= 0 && token < vocab;
  for (int c = threadIdx.x * kVector; c < columns; c += kThreads * kVector) {
    float v[kVector];
    if (inside) {
      load(v, table + token * static_cast<int64_t>(columns) + c);
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i) v[i] = not_a_number();
    }
#pragma unroll
    for (int i = 0; i < kVector; ++i) v[i] *= scale;
    store(x + t * columns + c, v);
  }
}

// Block (s, tile): sum s over the columns of a tile.
template <int kVector>
__global__ void __launch_bounds__(kThreads)
    embedding_sums(float* __restrict__ kept_sums, const float* __restrict__ dx, const int32_t* __restrict__ begin,
                   const int32_t* __restrict__ rows, int columns, float scale) {
  const int64_t sum = blockIdx.x;
  const int c = (blockIdx.y * kThreads + threadIdx.x) * kVector;
  const int first = begin[sum], end = begin[sum + 1];
  if (first == end || c >= columns) return;
  float* to = kept_sums + sum * columns + c;
  float total[kVector];
  load(total, to);
#pragma unroll 4
  for (int r = first; r < end; ++r) {
    float d[kVector];
    load(d, dx + static_cast<int64_t>(rows[r]) * columns + c);
#pragma unroll
    for (int i = 0; i < kVector; ++i) total[i] = __fmaf_rn(d[i], scale, total[i]);
  }
  store(to, total);
}

// Block (i, tile): row kept[i] of the gradient.
__global__ void __launch_bounds__(kThreads)
    embedding_rows(float* __restrict__ dtable, const float* __restrict__ kept_sums, const int32_t* __restrict__ kept_rows,
                   const int32_t* __restrict__ merges, int parts, int kept, int columns) {
  const int c = blockIdx.y * kThreads + threadIdx.x;
  if (c >= columns) return;
  float stack[kMaxOpenSums];
  int open = 0;
  for (int part = 0; part < parts; ++part) {
    stack[open++] = kept_sums[(static_cast<int64_t>(part) * kept + blockIdx.x) * columns + c];
    for (int merge = 0; merge < merges[part]; ++merge) {
      --open;
      stack[open - 1] += stack[open];
    }
  }
  dtable[static_cast<int64_t>(kept_rows[blockIdx.x]) * columns + c] = stack[0];
}

}  // namespace kernels

namespace {
constexpr int kVector = 4;
}

void embedding(Tensor x, Tensor tokens, Tensor table, Stream stream, float scale, Tensor drawn) {
  const int64_t T = tokens.size(), C = table.cols();
  check_matrix("embedding", "x", x, T, C);
  check_on_device("embedding", "tokens", tokens);
  if (drawn) check_on_device("embedding", "drawn tokens", drawn);
  check_on_device("embedding", "table", table);
  CHECK(C <= INT32_MAX / 2, "embedding: rows of {}", C);
  if (x.size() == 0) return;
  with_storage(table.dtype, [&]<typename A>(A) {
    const bool vectors = rows_align(x, C, kVector) && rows_align(table, C, kVector);
    launch(vectors ? kernels::embedding<A, kVector> : kernels::embedding<A, 1>, static_cast<unsigned>(T),
           kernels::kThreads, 0, stream, x.f32(), tokens.i32(), drawn ? drawn.i32() : nullptr, drawn ? static_cast<int>(drawn.size()) : 0,
           data_of<A>(table), static_cast<int>(C), table.rows(), scale);
  });
}

void embedding_backward(Tensor dtable, Tensor kept_sums, Tensor dx, const EmbeddingOrder& order, Tensor device_order,
                        Stream stream, float scale) {
  const char* op = "embedding_backward";
  const int64_t C = dtable.cols(), sums = order.parts * order.kept;
  check_matrix(op, "dx", dx, order.tokens, C);
  check_matrix(op, "the kept sums", kept_sums, sums, C);
  check_on_device(op, "dtable", dtable);
  check_on_device(op, "the order", device_order);
  CHECK(device_order.size() == static_cast<int64_t>(order.numbers.size()), "{}: an order of {} numbers, wanted {}", op,
        device_order.size(), order.numbers.size());
  CHECK(C <= INT32_MAX / 2, "{}: rows of {}", op, C);
  if (sums == 0 || C == 0) return;
  const int32_t* begin = device_order.i32();
  const int32_t *rows = begin + sums + 1, *kept_rows = rows + order.tokens, *merges = kept_rows + order.kept;
  const int columns = static_cast<int>(C);
  const bool vectors = rows_align(dx, C, kVector) && rows_align(kept_sums, C, kVector);
  const dim3 grid(static_cast<unsigned>(sums), blocks_for(C, kernels::kThreads * (vectors ? kVector : 1)));
  launch(vectors ? kernels::embedding_sums<kVector> : kernels::embedding_sums<1>, grid, kernels::kThreads, 0, stream,
         kept_sums.f32(), dx.f32(), begin, rows, columns, scale);
  launch(kernels::embedding_rows, dim3(static_cast<unsigned>(order.kept), blocks_for(C, kernels::kThreads)),
         kernels::kThreads, 0, stream, dtable.f32(), kept_sums.f32(), kept_rows, merges, static_cast<int>(order.parts),
         static_cast<int>(order.kept), columns);
}

}  // namespace cohort::cuda
