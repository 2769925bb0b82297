// Embedding, biases, casts and row moves on the CPU (ops/elementwise.h). Rows are shared out among threads;
// sums over rows are shared out by columns, each column adding its rows in order.
#include "model/ops/elementwise.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/check.h"
#include "model/cpu/parallel.h"
#include "model/cpu/vector_math.h"

namespace cohort {
namespace {

using namespace simd;

void check_ids(const char* op, std::span<const int32_t> ids, int64_t limit) {
  for (int32_t id : ids) CHECK(id >= 0 && id < limit, "{}: row {} of a matrix of {} rows", op, id, limit);
}

// to[rows[i]] += scale from[i] in the order of i, one block of columns a task.
void scatter_add(const char* op, Tensor to, Tensor from, std::span<const int32_t> rows, float scale, const Exec& ex) {
  const int64_t n = static_cast<int64_t>(rows.size()), C = to.cols();
  check_matrix(op, "the gradient of the rows", from, n, C);
  check_ids(op, rows, to.rows());
  float* sums = to.f32();
  const float* data = from.f32();
  for_chunks(ex, C, kColumns, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < n; ++i) {
      float* sum = sums + rows[static_cast<size_t>(i)] * C;
      for (int64_t c = begin; c < end; c += kLanes) {
        const int64_t lanes = lanes_left(end, c);
        store_first(sum + c, fma(load_first(data + i * C + c, lanes), splat(scale), load_first(sum + c, lanes)), lanes);
      }
    }
  });
}

}  // namespace

void embedding(Tensor x, std::span<const int32_t> tokens, Tensor table, const Exec& ex, float scale) {
  const int64_t T = static_cast<int64_t>(tokens.size()), C = table.cols();
  check_matrix("embedding", "x", x, T, C);
  check_ids("embedding", tokens, table.rows());
  float* to = x.f32();
  with_storage(table.dtype, [&]<typename A>(A) {
    for_rows(ex, T, C, [&](int64_t t) {
      const A* from = row_of<A>(table, tokens[static_cast<size_t>(t)]);
      for (int64_t c = 0; c < C; c += kLanes)
        store_first(to + t * C + c, load_first(from + c, lanes_left(C, c)) * splat(scale), lanes_left(C, c));
    });
  });
}

void embedding_backward(Tensor dtable, Tensor dx, std::span<const int32_t> tokens, const Exec& ex, float scale) {
  scatter_add("embedding_backward", dtable, dx, tokens, scale, ex);
}

void add_bias(Tensor y, Tensor bias, const Exec& ex) {
  const int64_t T = y.rows(), N = y.cols();
  check_matrix("add_bias", "bias", bias, 1, N);
  float* to = y.f32();
  with_storage(bias.dtype, [&]<typename A>(A) {
    const A* from = row_of<A>(bias, 0);
    for_rows(ex, T, N, [&](int64_t t) {
      for (int64_t n = 0; n < N; n += kLanes) {
        const int64_t lanes = lanes_left(N, n);
        store_first(to + t * N + n, load_first(to + t * N + n, lanes) + load_first(from + n, lanes), lanes);
      }
    });
  });
}

void bias_backward(Tensor dbias, Tensor dy, const Exec& ex) {
  const int64_t T = dy.rows(), N = dy.cols();
  check_matrix("bias_backward", "dbias", dbias, 1, N);
  float* sums = dbias.f32();
  with_storage(dy.dtype, [&]<typename A>(A) {
    for_chunks(ex, N, kColumns, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; n += kLanes) {
        const int64_t lanes = lanes_left(end, n);
        F16 sum = splat(0.0f);
        for (int64_t t = 0; t < T; ++t) sum = sum + load_first(row_of<A>(dy, t) + n, lanes);
        store_first(sums + n, load_first(sums + n, lanes) + sum, lanes);
      }
    });
  });
}

void cast(Tensor y, Tensor x, const Exec& ex) {
  const int64_t n = x.size();
  CHECK(y.size() == n, "cast: {} elements to {}", n, y.size());
  with_storage(x.dtype, [&]<typename X>(X) {
    with_storage(y.dtype, [&]<typename Y>(Y) {
      const X* from = static_cast<const X*>(x.data);
      Y* to = static_cast<Y*>(y.data);
      for_chunks(ex, n, kTaskElements, [&](int64_t begin, int64_t end) {
        if constexpr (std::is_same_v<X, Y>) {
          std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin) * sizeof(X));
        } else {
          int64_t i = begin;
          for (; i + kLanes <= end; i += kLanes) store(to + i, load(from + i));
          store_first(to + i, load_first(from + i, end - i), end - i);
        }
      });
    });
  });
}

void gather_rows(Tensor y, Tensor x, std::span<const int32_t> rows, const Exec& ex) {
  const int64_t n = static_cast<int64_t>(rows.size()), C = x.cols();
  check_matrix("gather_rows", "y", y, n, C);
  check_ids("gather_rows", rows, x.rows());
  CHECK(y.dtype == x.dtype, "gather_rows: {} to {}", dtype_name(x.dtype), dtype_name(y.dtype));
  const size_t bytes = static_cast<size_t>(C) * dtype_size(x.dtype);
  for_rows(ex, n, C, [&](int64_t i) {
    std::memcpy(static_cast<std::byte*>(y.data) + static_cast<size_t>(i) * bytes,
                static_cast<const std::byte*>(x.data) + static_cast<size_t>(rows[static_cast<size_t>(i)]) * bytes,
                bytes);
  });
}

void scatter_add_rows(Tensor dx, Tensor dy, std::span<const int32_t> rows, const Exec& ex) {
  scatter_add("scatter_add_rows", dx, dy, rows, 1.0f, ex);
}

}  // namespace cohort
