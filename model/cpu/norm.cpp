// Root mean square norms on the CPU (ops/norm.h).
#include "model/ops/norm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "model/cpu/parallel.h"
#include "model/cpu/part_sums.h"
#include "model/cpu/vector_math.h"
#include "model/ops/gpu.h"

namespace cohort {
namespace {

using namespace simd;

// A sum over columns [0, n): 64 partial sums, then a fixed tree. add(c, lanes, sum) adds elements c .. c + lanes to
// `sum`.
template <typename F>
float sum_columns(int64_t n, const F& add) {
  F16 first = splat(0.0f), second = first, third = first, fourth = first;
  int64_t c = 0;
  for (; c + 4 * kLanes <= n; c += 4 * kLanes) {
    first = add(c, AllLanes(), first), second = add(c + kLanes, AllLanes(), second);
    third = add(c + 2 * kLanes, AllLanes(), third), fourth = add(c + 3 * kLanes, AllLanes(), fourth);
  }
  if (c < n) first = add(c, lanes_left(n, c), first), c += kLanes;
  if (c < n) second = add(c, lanes_left(n, c), second), c += kLanes;
  if (c < n) third = add(c, lanes_left(n, c), third), c += kLanes;
  if (c < n) fourth = add(c, lanes_left(n, c), fourth);
  return sum_lanes((first + second) + (third + fourth));
}

// offset + gain, the norm's factor of each column. Adding an offset of 0 changes no gain's bits.
template <typename T, typename Lanes>
F16 load_gain(const T* gain, float offset, Lanes lanes) {
  return load_first(gain, lanes) + splat(offset);
}

// y may be x. kAdd: y += norm(x).
template <bool kAdd, typename Y, typename T>
float rmsnorm_row(Y* y, const float* x, const T* gain, int64_t C, const NormParams& params) {
  const float squares = sum_columns(C, [&](int64_t c, auto lanes, F16 sum) {
    const F16 v = load_first(x + c, lanes);
    return fma(v, v, sum);
  });
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(C) + params.eps);
  each_vector(C, [&](int64_t c, auto lanes) {
    F16 out = load_first(x + c, lanes) * splat(scale) * load_gain(gain + c, params.offset, lanes);
    if constexpr (kAdd) out = load_first(y + c, lanes) + out;
    store_first(y + c, out, lanes);
  });
  return scale;
}

// What a row adds to the gradient of the gain.
inline F16 add_gain_gradient(F16 sum, F16 dy, F16 x, F16 rstd) { return fma(dy, x * rstd, sum); }

// rstd (g dy - xhat mean(g dy xhat)), xhat = x rstd, g = offset + gain. kAdd: dx += that; else dx, which may be dy.
// kGain: gain_sums (C) += what the row adds to the gradient of the gain.
template <bool kAdd, bool kGain, typename T>
void rmsnorm_backward_row(float* dx, float* gain_sums, const float* dy, const float* x, const T* gain, float rstd, int64_t C,
                          float offset) {
  const float dot = sum_columns(C, [&](int64_t c, auto lanes, F16 sum) {
    return fma(load_gain(gain + c, offset, lanes) * load_first(dy + c, lanes), load_first(x + c, lanes), sum);
  });
  const F16 along = splat(-dot * rstd * rstd / static_cast<float>(C)), scale = splat(rstd);
  each_vector(C, [&](int64_t c, auto lanes) {
    const F16 d = load_first(dy + c, lanes), v = load_first(x + c, lanes);
    F16 change = fma(v, along, load_gain(gain + c, offset, lanes) * d) * scale;
    if constexpr (kAdd) change = load_first(dx + c, lanes) + change;
    if constexpr (kGain) store_first(gain_sums + c, add_gain_gradient(load_first(gain_sums + c, lanes), d, v, scale), lanes);
    store_first(dx + c, change, lanes);
  });
}

// sums[c] = sum over rows, in parts, of dy x rstd, `per_row` of each. row(i, &dy, &x) gives item i's pointers and
// returns its rstd.
template <typename Row>
void gain_gradient(float* sums, std::span<const RowPart> parts, int64_t per_row, int64_t C, const Row& row,
                   const Exec& ex) {
  for_chunks(ex, C, kColumns, [&](int64_t begin, int64_t end) {
    PartStack<kColumns / kLanes> stack;
    for (const RowPart& part : parts) {
      F16 sum[kColumns / kLanes];
      for (F16& s : sum) s = splat(0.0f);
      for (int64_t i = part.begin * per_row; i < (part.begin + part.count) * per_row; ++i) {
        const float *dy, *x;
        const F16 scale = splat(row(i, dy, x));
        for (int64_t c = begin; c < end; c += kLanes) {
          const int64_t lanes = lanes_left(end, c);
          F16& s = sum[(c - begin) / kLanes];
          s = add_gain_gradient(s, load_first(dy + c, lanes), load_first(x + c, lanes), scale);
        }
      }
      stack.push(sum, part.merges);
    }
    for (int64_t c = begin; c < end; c += kLanes)
      store_first(sums + c, stack.total()[(c - begin) / kLanes], lanes_left(end, c));
  });
}

// Whether threads that take a part at a time are done about as soon as with rows: then a row's part of the gain's gradient is
// added up while the row is in the cache, and the rows are read once.
bool threads_have_parts(std::span<const RowPart> parts, int64_t rows, const Exec& ex) {
  int64_t longest = 0;
  for (const RowPart& part : parts) longest = std::max(longest, part.count);
  const int64_t threads = ex.pool->size();
  return threads == 1 || (std::ssize(parts) >= 2 * threads && longest * threads <= rows);
}

// sums[c] = the sums of parts (parts, C), merged as they say.
void merge_parts(float* sums, const float* of_parts, std::span<const RowPart> parts, int64_t C) {
  each_vector(C, [&](int64_t c, auto lanes) {
    PartStack<1> stack;
    for (size_t p = 0; p < parts.size(); ++p)
      stack.push({load_first(of_parts + static_cast<int64_t>(p) * C + c, lanes)}, parts[p].merges);
    store_first(sums + c, stack.total()[0], lanes);
  });
}

void check_norm(const char* op, Tensor y, Tensor rstd, const TakenRows& x, Tensor gain) {
  x.check(op);
  check_matrix(op, "y", y, x.rows(), x.cols());
  check_matrix(op, "gain", gain, 1, x.cols());
  CHECK(!rstd || rstd.size() == x.rows(), "{}: {} scales for {} rows", op, rstd.size(), x.rows());
}

// Widths of the q, k, v row, and checks of what both directions of the head norm share.
struct QkWidths {
  int64_t heads, D, width, rows;  // heads: of q and k together
};
QkWidths check_qk(Tensor qkv, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain, const QkHeads& h) {
  const int64_t D = h.head_size, heads = h.num_heads + h.num_kv_heads, width = (heads + h.num_kv_heads) * D;
  const int64_t rows = qkv.rows();
  check_matrix("qk_norm", "qkv", qkv, rows, width);
  check_matrix("qk_norm", "q_gain", q_gain, 1, D);
  check_matrix("qk_norm", "k_gain", k_gain, 1, D);
  CHECK(q_gain.dtype == k_gain.dtype, "qk_norm: gains of {} and {}", dtype_name(q_gain.dtype), dtype_name(k_gain.dtype));
  CHECK((!raw || raw.size() == rows * heads * D) && (!rstd || rstd.size() == rows * heads),
        "qk_norm: {} old values and {} scales for {} rows of {} heads of {}", raw.size(), rstd.size(), rows, heads, D);
  return {heads, D, width, rows};
}

}  // namespace

void rmsnorm(Tensor y, Tensor rstd, TakenRows x, Tensor gain, const NormParams& params, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::rmsnorm(y, rstd, x.matrix(), gain, params, *ex.gpu);
  const int64_t T = x.rows(), C = x.cols();
  const size_t row_bytes = static_cast<size_t>(C) * sizeof(float);
  check_norm("rmsnorm", y, rstd, x, gain);
  CHECK(y.dtype == gain.dtype, "rmsnorm: gain is {}, y is {}", dtype_name(gain.dtype), dtype_name(y.dtype));
  CHECK(x.dtype() == DType::f32, "rmsnorm: x is {}", dtype_name(x.dtype()));
  float* scales = rstd ? rstd.f32() : nullptr;
  with_storage(y.dtype, [&]<typename A>(A) {
    for_rows(ex, T, C, [&](int64_t t) {
      if (!x.whole()) prefetch(x.row<float>(std::min(t + 1, T - 1)), row_bytes);
      const float scale = rmsnorm_row<false>(row_of<A>(y, t), x.row<float>(t), row_of<A>(gain, 0), C, params);
      if (scales != nullptr) scales[t] = scale;
    });
  });
}

void rmsnorm_add(Tensor sum, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::rmsnorm_add(sum, rstd, x, gain, params, *ex.gpu);
  const int64_t T = x.rows(), C = x.cols();
  check_norm("rmsnorm_add", sum, rstd, x, gain);
  const float* from = x.f32();
  float *to = sum.f32(), *scales = rstd ? rstd.f32() : nullptr;
  with_storage(gain.dtype, [&]<typename A>(A) {
    for_rows(ex, T, C, [&](int64_t t) {
      const float scale = rmsnorm_row<true>(to + t * C, from + t * C, row_of<A>(gain, 0), C, params);
      if (scales != nullptr) scales[t] = scale;
    });
  });
}

void rmsnorm_backward(Tensor dx, Tensor dgain, Tensor dy, TakenRows x, Tensor gain, Tensor rstd, float offset,
                      const Exec& ex, std::span<const RowPart> parts) {
  if (ex.gpu != nullptr) return gpu::rmsnorm_backward(dx, dgain, dy, x.matrix(), gain, rstd, offset, parts, *ex.gpu);
  const int64_t T = x.rows(), C = x.cols();
  const size_t row_bytes = static_cast<size_t>(C) * sizeof(float);
  check_row_parts("rmsnorm_backward", parts, T);
  x.check("rmsnorm_backward");
  CHECK(x.dtype() == DType::f32, "rmsnorm_backward: x is {}", dtype_name(x.dtype()));
  check_matrix("rmsnorm_backward", "dx", dx, T, C);
  check_matrix("rmsnorm_backward", "dy", dy, T, C);
  check_matrix("rmsnorm_backward", "gain", gain, 1, C);
  check_matrix("rmsnorm_backward", "dgain", dgain, 1, C);
  CHECK(rstd.size() == T, "rmsnorm_backward: {} scales for {} rows", rstd.size(), T);
  const float *grad = dy.f32(), *scales = rstd.f32();
  float* to = dx.f32();
  const RowPart whole{0, T, 0};
  parts = parts_or(parts, whole);
  if (threads_have_parts(parts, T, ex)) {
    float* sums = static_cast<float*>(ex.workspace->get(0, parts.size() * static_cast<size_t>(C) * sizeof(float)));
    std::fill_n(sums, static_cast<int64_t>(parts.size()) * C, 0.0f);
    with_storage(gain.dtype, [&]<typename A>(A) {
      ex.pool->run(static_cast<int64_t>(parts.size()), [&](int64_t p, int) {
        const RowPart& part = parts[static_cast<size_t>(p)];
        for (int64_t t = part.begin; t < part.begin + part.count; ++t) {
          prefetch(x.row<float>(std::min(t + 1, T - 1)), row_bytes);
          rmsnorm_backward_row<true, true>(to + t * C, sums + p * C, grad + t * C, x.row<float>(t), row_of<A>(gain, 0), scales[t], C, offset);
        }
      });
    });
    return merge_parts(dgain.f32(), sums, parts, C);
  }
  with_storage(gain.dtype, [&]<typename A>(A) {
    for_rows(ex, T, C, [&](int64_t t) {
      rmsnorm_backward_row<true, false>(to + t * C, nullptr, grad + t * C, x.row<float>(t), row_of<A>(gain, 0), scales[t], C, offset);
    });
  });
  const auto row = [&](int64_t t, const float*& row_dy, const float*& row_x) {
    row_dy = grad + t * C, row_x = x.row<float>(t);
    return scales[t];
  };
  gain_gradient(dgain.f32(), parts, 1, C, row, ex);
}

void qk_norm(Tensor qkv, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain, const QkHeads& heads,
             const NormParams& params, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::qk_norm(qkv, raw, rstd, q_gain, k_gain, heads, params, *ex.gpu);
  const QkWidths w = check_qk(qkv, raw, rstd, q_gain, k_gain, heads);
  float* data = qkv.f32();
  float *old = raw ? raw.f32() : nullptr, *scales = rstd ? rstd.f32() : nullptr;
  with_storage(q_gain.dtype, [&]<typename A>(A) {
    for_rows(ex, w.rows, w.width, [&](int64_t t) {
      float* row = data + t * w.width;
      if (old != nullptr) std::memcpy(old + t * w.heads * w.D, row, static_cast<size_t>(w.heads * w.D) * sizeof(float));
      for (int64_t h = 0; h < w.heads; ++h) {
        const A* gain = row_of<A>(h < heads.num_heads ? q_gain : k_gain, 0);
        const float scale = rmsnorm_row<false>(row + h * w.D, row + h * w.D, gain, w.D, params);
        if (scales != nullptr) scales[t * w.heads + h] = scale;
      }
    });
  });
}

void qk_norm_backward(Tensor dqkv, Tensor dq_gain, Tensor dk_gain, Tensor raw, Tensor rstd, Tensor q_gain,
                      Tensor k_gain, const QkHeads& heads, float offset, const Exec& ex,
                      std::span<const RowPart> parts) {
  if (ex.gpu != nullptr) return gpu::qk_norm_backward(dqkv, dq_gain, dk_gain, raw, rstd, q_gain, k_gain, heads, offset, parts, *ex.gpu);
  CHECK(raw && rstd, "qk_norm_backward: the forward pass kept nothing");
  const QkWidths w = check_qk(dqkv, raw, rstd, q_gain, k_gain, heads);
  check_matrix("qk_norm_backward", "dq_gain", dq_gain, 1, w.D);
  check_matrix("qk_norm_backward", "dk_gain", dk_gain, 1, w.D);
  const float *old = raw.f32(), *scales = rstd.f32();
  float* data = dqkv.f32();
  check_row_parts("qk_norm_backward", parts, w.rows);
  const RowPart whole{0, w.rows, 0};
  // The gains first: their sums need the gradients that the second half replaces.
  const auto add_gain = [&](Tensor dgain, int64_t first, int64_t count) {
    const auto row = [&](int64_t i, const float*& dy, const float*& x) {
      const int64_t t = i / count, h = first + i % count;
      dy = data + t * w.width + h * w.D, x = old + (t * w.heads + h) * w.D;
      return scales[t * w.heads + h];
    };
    gain_gradient(dgain.f32(), parts_or(parts, whole), count, w.D, row, ex);
  };
  add_gain(dq_gain, 0, heads.num_heads);
  add_gain(dk_gain, heads.num_heads, heads.num_kv_heads);
  with_storage(q_gain.dtype, [&]<typename A>(A) {
    for_rows(ex, w.rows, w.width, [&](int64_t t) {
      for (int64_t h = 0; h < w.heads; ++h) {
        float* dy = data + t * w.width + h * w.D;
        rmsnorm_backward_row<false, false>(dy, nullptr, dy, old + (t * w.heads + h) * w.D,
                                           row_of<A>(h < heads.num_heads ? q_gain : k_gain, 0), scales[t * w.heads + h], w.D,
                                           offset);
      }
    });
  });
}

}  // namespace cohort
