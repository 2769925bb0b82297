// Embedding, biases, casts and row moves on the CPU (ops/elementwise.h). Rows are shared out among threads;
// sums over rows are shared out by columns, each column adding its rows in order.
#include "model/ops/elementwise.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/check.h"
#include "model/cpu/parallel.h"
#include "model/cpu/part_sums.h"
#include "model/cpu/vector_math.h"
#include "model/ops/gpu.h"

namespace cohort {
namespace {

using namespace simd;

void check_ids(const char* op, std::span<const int32_t> ids, int64_t limit) {
  for (int32_t id : ids) CHECK(id >= 0 && id < limit, "{}: row {} of a matrix of {} rows", op, id, limit);
}

}  // namespace

void embedding(Tensor x, std::span<const int32_t> tokens, Tensor table, const Exec& ex, float scale) {
  if (ex.gpu != nullptr) return gpu::embedding(x, tokens, table, scale, *ex.gpu);
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

void embedding_backward(Tensor dtable, const KeptRows& kept, Tensor dx, std::span<const int32_t> tokens, const Exec& ex,
                        float scale, std::span<const RowPart> parts) {
  if (ex.gpu != nullptr) return gpu::embedding_backward(dtable, kept, dx, tokens, scale, parts, *ex.gpu);
  const char* op = "embedding_backward";
  const int64_t T = static_cast<int64_t>(tokens.size()), C = dtable.cols(), n = static_cast<int64_t>(kept.rows.size());
  const RowPart whole{0, T, 0};
  check_row_parts(op, parts, T);
  parts = parts_or(parts, whole);
  check_matrix(op, "dx", dx, T, C);
  check_matrix(op, "the kept sums", kept.sums, static_cast<int64_t>(parts.size()) * n, C);
  check_ids(op, kept.rows, dtable.rows());
  int64_t* place =
      static_cast<int64_t*>(ex.workspace->get(0, static_cast<size_t>(T) * sizeof(int64_t)));  // in kept.rows
  for (int64_t t = 0; t < T; ++t) {
    const auto at = std::ranges::lower_bound(kept.rows, tokens[static_cast<size_t>(t)]);
    CHECK(at != kept.rows.end() && *at == tokens[static_cast<size_t>(t)], "{}: row {} is not kept", op,
          tokens[static_cast<size_t>(t)]);
    place[t] = at - kept.rows.begin();
  }
  float *sums = kept.sums.f32(), *to = dtable.f32();
  const float* from = dx.f32();
  for_chunks(ex, C, kColumns, [&](int64_t begin, int64_t end) {
    for (size_t p = 0; p < parts.size(); ++p) {
      for (int64_t t = parts[p].begin; t < parts[p].begin + parts[p].count; ++t) {
        float* sum = sums + (static_cast<int64_t>(p) * n + place[t]) * C;
        for (int64_t c = begin; c < end; c += kLanes) {
          const int64_t lanes = lanes_left(end, c);
          store_first(sum + c, fma(load_first(from + t * C + c, lanes), splat(scale), load_first(sum + c, lanes)),
                      lanes);
        }
      }
    }
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t c = begin; c < end; c += kLanes) {
        PartStack<1> stack;
        for (size_t p = 0; p < parts.size(); ++p)
          stack.push({load_first(sums + (static_cast<int64_t>(p) * n + i) * C + c, lanes_left(end, c))},
                     parts[p].merges);
        store_first(to + kept.rows[static_cast<size_t>(i)] * C + c, stack.total()[0], lanes_left(end, c));
      }
    }
  });
}

void add_bias(Tensor y, Tensor bias, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::add_bias(y, bias, *ex.gpu);
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

void bias_backward(Tensor dbias, Tensor dy, const Exec& ex, std::span<const RowPart> parts) {
  if (ex.gpu != nullptr) return gpu::bias_backward(dbias, dy, parts, *ex.gpu);
  const int64_t T = dy.rows(), N = dy.cols();
  const RowPart whole{0, T, 0};
  check_matrix("bias_backward", "dbias", dbias, 1, N);
  check_row_parts("bias_backward", parts, T);
  parts = parts_or(parts, whole);
  float* sums = dbias.f32();
  with_storage(dy.dtype, [&]<typename A>(A) {
    for_chunks(ex, N, kColumns, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; n += kLanes) {
        const int64_t lanes = lanes_left(end, n);
        PartStack<1> stack;
        for (const RowPart& part : parts) {
          F16 sum = splat(0.0f);
          for (int64_t t = part.begin; t < part.begin + part.count; ++t)
            sum = sum + load_first(row_of<A>(dy, t) + n, lanes);
          stack.push({sum}, part.merges);
        }
        store_first(sums + n, stack.total()[0], lanes);
      }
    });
  });
}

void cast(Tensor y, Tensor x, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::cast(y, x, *ex.gpu);
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

void gather_rows(Tensor y, Tensor x, std::span<const int32_t> rows, const Exec& ex, Tensor other) {
  if (ex.gpu != nullptr) return gpu::gather_rows(y, x, rows, other, *ex.gpu);
  const int64_t n = static_cast<int64_t>(rows.size()), C = x.cols(), others = other ? other.rows() : 0;
  check_matrix("gather_rows", "y", y, n, C);
  if (other) check_matrix("gather_rows", "the other matrix", other, others, C);
  for (int32_t row : rows)
    CHECK(row < x.rows() && row >= -others, "gather_rows: row {} of matrices of {} and {} rows", row, x.rows(), others);
  CHECK(y.dtype == x.dtype && (!other || other.dtype == x.dtype), "gather_rows: {} to {}", dtype_name(x.dtype),
        dtype_name(y.dtype));
  const size_t bytes = static_cast<size_t>(C) * dtype_size(x.dtype);
  const auto at = [&](Tensor t, int64_t row) { return static_cast<std::byte*>(t.data) + static_cast<size_t>(row) * bytes; };
  const auto source = [&](int64_t i) {
    const int64_t row = rows[static_cast<size_t>(i)];
    return row >= 0 ? at(x, row) : at(other, -1 - row);
  };
  for_rows(ex, n, C, [&](int64_t i) {
    if (i + 1 < n) prefetch(source(i + 1), bytes);
    std::memcpy(at(y, i), source(i), bytes);
  });
}

void scatter_add_rows(Tensor dx, Tensor dy, std::span<const int32_t> rows, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::scatter_add_rows(dx, dy, rows, *ex.gpu);
  const int64_t n = static_cast<int64_t>(rows.size()), C = dx.cols();
  check_matrix("scatter_add_rows", "dy", dy, n, C);
  check_ids("scatter_add_rows", rows, dx.rows());
  float* sums = dx.f32();
  const float* data = dy.f32();
  for_chunks(ex, C, kColumns, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < n; ++i) {
      float* sum = sums + rows[static_cast<size_t>(i)] * C;
      for (int64_t c = begin; c < end; c += kLanes) {
        const int64_t lanes = lanes_left(end, c);
        store_first(sum + c, load_first(sum + c, lanes) + load_first(data + i * C + c, lanes), lanes);
      }
    }
  });
}

}  // namespace cohort
