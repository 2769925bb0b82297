// Embedding, RMSNorm, SwiGLU, casts and row moves on the CPU (ops/elementwise.h). Rows are shared out among threads;
// sums over rows are shared out by columns, each column adding its rows in order.
#include "model/ops/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "core/check.h"
#include "model/cpu/parallel.h"
#include "model/cpu/vector_math.h"

namespace cohort {
namespace {

using namespace simd;

constexpr int64_t kColumns = 64;  // columns of one task in sums over rows

template <typename T>
T* row_of(Tensor t, int64_t row) {
  return static_cast<T*>(t.data) + row * t.cols();
}

void check_matrix(const char* op, const char* name, Tensor t, int64_t rows, int64_t cols) {
  CHECK(t.size() == rows * cols && (rows == 0 || t.cols() == cols), "{}: {} is {} x {}, wanted {} x {}", op, name,
        t.rows(), t.cols(), rows, cols);
}

void check_ids(const char* op, std::span<const int32_t> ids, int64_t limit) {
  for (int32_t id : ids) CHECK(id >= 0 && id < limit, "{}: row {} of a matrix of {} rows", op, id, limit);
}

// to[rows[i]] += from[i] in the order of i, one block of columns a task.
void scatter_add(const char* op, Tensor to, Tensor from, std::span<const int32_t> rows, const Exec& ex) {
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
        store_first(sum + c, load_first(sum + c, lanes) + load_first(data + i * C + c, lanes), lanes);
      }
    }
  });
}

// A sum over columns [0, n): 64 partial sums, then a fixed tree. add(c, lanes, sum) adds elements c .. c + lanes to
// `sum`.
template <typename F>
float sum_columns(int64_t n, const F& add) {
  F16 sum[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
  for (int64_t c = 0, part = 0; c < n; c += kLanes, part = (part + 1) % 4)
    sum[part] = add(c, lanes_left(n, c), sum[part]);
  return sum_lanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

F16 sigmoid(F16 z) { return splat(1.0f) / (splat(1.0f) + exp(splat(0.0f) - z)); }

template <typename T>
void rmsnorm_row(T* y, float* rstd, const float* x, const T* gain, int64_t C, float eps) {
  const float squares = sum_columns(C, [&](int64_t c, int64_t lanes, F16 sum) {
    const F16 v = load_first(x + c, lanes);
    return fma(v, v, sum);
  });
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(C) + eps);
  if (rstd != nullptr) *rstd = scale;
  for (int64_t c = 0; c < C; c += kLanes) {
    const int64_t lanes = lanes_left(C, c);
    store_first(y + c, load_first(x + c, lanes) * splat(scale) * load_first(gain + c, lanes), lanes);
  }
}

// dx += rstd (gain dy - xhat mean(gain dy xhat)), xhat = x rstd
template <typename T>
void rmsnorm_backward_row(float* dx, const float* dy, const float* x, const T* gain, float rstd, int64_t C) {
  const float dot = sum_columns(C, [&](int64_t c, int64_t lanes, F16 sum) {
    return fma(load_first(gain + c, lanes) * load_first(dy + c, lanes), load_first(x + c, lanes), sum);
  });
  const F16 along = splat(-dot * rstd * rstd / static_cast<float>(C)), scale = splat(rstd);
  for (int64_t c = 0; c < C; c += kLanes) {
    const int64_t lanes = lanes_left(C, c);
    const F16 dxhat = load_first(gain + c, lanes) * load_first(dy + c, lanes);
    const F16 change = fma(load_first(x + c, lanes), along, dxhat) * scale;
    store_first(dx + c, load_first(dx + c, lanes) + change, lanes);
  }
}

}  // namespace

void embedding(Tensor x, std::span<const int32_t> tokens, Tensor table, const Exec& ex) {
  const int64_t T = static_cast<int64_t>(tokens.size()), C = table.cols();
  check_matrix("embedding", "x", x, T, C);
  check_ids("embedding", tokens, table.rows());
  float* to = x.f32();
  with_storage(table.dtype, [&]<typename A>(A) {
    for_rows(ex, T, C, [&](int64_t t) {
      const A* from = row_of<A>(table, tokens[static_cast<size_t>(t)]);
      for (int64_t c = 0; c < C; c += kLanes)
        store_first(to + t * C + c, load_first(from + c, lanes_left(C, c)), lanes_left(C, c));
    });
  });
}

void embedding_backward(Tensor dtable, Tensor dx, std::span<const int32_t> tokens, const Exec& ex) {
  scatter_add("embedding_backward", dtable, dx, tokens, ex);
}

void rmsnorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, float eps, const Exec& ex) {
  const int64_t T = x.rows(), C = x.cols();
  check_matrix("rmsnorm", "y", y, T, C);
  check_matrix("rmsnorm", "gain", gain, 1, C);
  CHECK(y.dtype == gain.dtype, "rmsnorm: gain is {}, y is {}", dtype_name(gain.dtype), dtype_name(y.dtype));
  CHECK(!rstd || rstd.size() == T, "rmsnorm: {} scales for {} rows", rstd.size(), T);
  const float* from = x.f32();
  float* scales = rstd ? rstd.f32() : nullptr;
  with_storage(y.dtype, [&]<typename A>(A) {
    for_rows(ex, T, C, [&](int64_t t) {
      rmsnorm_row(row_of<A>(y, t), scales != nullptr ? scales + t : nullptr, from + t * C, row_of<A>(gain, 0), C, eps);
    });
  });
}

void rmsnorm_backward(Tensor dx, Tensor dgain, Tensor dy, Tensor x, Tensor gain, Tensor rstd, const Exec& ex) {
  const int64_t T = x.rows(), C = x.cols();
  check_matrix("rmsnorm_backward", "dx", dx, T, C);
  check_matrix("rmsnorm_backward", "dy", dy, T, C);
  check_matrix("rmsnorm_backward", "gain", gain, 1, C);
  check_matrix("rmsnorm_backward", "dgain", dgain, 1, C);
  CHECK(rstd.size() == T, "rmsnorm_backward: {} scales for {} rows", rstd.size(), T);
  const float *in = x.f32(), *grad = dy.f32(), *scales = rstd.f32();
  float *to = dx.f32(), *dgain_sums = dgain.f32();
  with_storage(gain.dtype, [&]<typename A>(A) {
    for_rows(ex, T, C, [&](int64_t t) {
      rmsnorm_backward_row(to + t * C, grad + t * C, in + t * C, row_of<A>(gain, 0), scales[t], C);
    });
  });
  for_chunks(ex, C, kColumns, [&](int64_t begin, int64_t end) {
    F16 sum[kColumns / kLanes];
    for (F16& s : sum) s = splat(0.0f);
    for (int64_t t = 0; t < T; ++t) {
      for (int64_t c = begin; c < end; c += kLanes) {
        const int64_t lanes = lanes_left(end, c), at = t * C + c;
        F16& s = sum[(c - begin) / kLanes];
        s = fma(load_first(grad + at, lanes), load_first(in + at, lanes) * splat(scales[t]), s);
      }
    }
    for (int64_t c = begin; c < end; c += kLanes) {
      const int64_t lanes = lanes_left(end, c);
      store_first(dgain_sums + c, load_first(dgain_sums + c, lanes) + sum[(c - begin) / kLanes], lanes);
    }
  });
}

void swiglu(Tensor y, Tensor gate_up, const Exec& ex) {
  const int64_t T = y.rows(), F = y.cols();
  check_matrix("swiglu", "gate_up", gate_up, T, 2 * F);
  CHECK(y.dtype == gate_up.dtype, "swiglu: {} to {}", dtype_name(gate_up.dtype), dtype_name(y.dtype));
  with_storage(y.dtype, [&]<typename A>(A) {
    for_rows(ex, T, F, [&](int64_t t) {
      const A *gate = row_of<A>(gate_up, t), *up = gate + F;
      A* to = row_of<A>(y, t);
      for (int64_t f = 0; f < F; f += kLanes) {
        const int64_t lanes = lanes_left(F, f);
        const F16 g = load_first(gate + f, lanes);
        store_first(to + f, g * sigmoid(g) * load_first(up + f, lanes), lanes);
      }
    });
  });
}

void swiglu_backward(Tensor dgate_up, Tensor dy, Tensor gate_up, const Exec& ex) {
  const int64_t T = dy.rows(), F = dy.cols();
  check_matrix("swiglu_backward", "gate_up", gate_up, T, 2 * F);
  check_matrix("swiglu_backward", "dgate_up", dgate_up, T, 2 * F);
  CHECK(dy.dtype == gate_up.dtype && dgate_up.dtype == gate_up.dtype, "swiglu_backward: {} and {} to {}",
        dtype_name(dy.dtype), dtype_name(gate_up.dtype), dtype_name(dgate_up.dtype));
  with_storage(dy.dtype, [&]<typename A>(A) {
    for_rows(ex, T, F, [&](int64_t t) {
      const A *gate = row_of<A>(gate_up, t), *up = gate + F, *from = row_of<A>(dy, t);
      A *dgate = row_of<A>(dgate_up, t), *dup = dgate + F;
      for (int64_t f = 0; f < F; f += kLanes) {
        const int64_t lanes = lanes_left(F, f);
        const F16 g = load_first(gate + f, lanes), u = load_first(up + f, lanes), d = load_first(from + f, lanes);
        const F16 s = sigmoid(g), silu = g * s;
        // silu' = s + silu (1 - s)
        store_first(dgate + f, d * u * fma(silu, splat(1.0f) - s, s), lanes);
        store_first(dup + f, d * silu, lanes);
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
  scatter_add("scatter_add_rows", dx, dy, rows, ex);
}

}  // namespace cohort
