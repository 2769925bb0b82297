// Gated linear units on the CPU (ops/gated.h).
#include "model/ops/gated.h"

#include <algorithm>

#include "core/check.h"
#include "model/cpu/parallel.h"
#include "model/cpu/vector_math.h"
#include "model/ops/gpu.h"

namespace cohort {
namespace {

using namespace simd;

// A gate's value f(z) and slope f'(z).
struct Gate {
  F16 value, slope;
};

F16 sigmoid(F16 z) { return splat(1.0f) / (splat(1.0f) + exp(splat(0.0f) - z)); }

struct Silu {
  static F16 value(F16 z) { return z * sigmoid(z); }
  // silu' = s + silu (1 - s)
  static Gate both(F16 z) {
    const F16 s = sigmoid(z), silu = z * s;
    return {silu, fma(silu, splat(1.0f) - s, s)};
  }
};

// (1 + tanh(u)) / 2 is sigmoid(2u), so gelu(z) = z sigmoid(2u), u = sqrt(2 / pi) (z + 0.044715 z^3).
struct Gelu {
  static constexpr float kTwoRoot = 0x1.988454p+0f, kCubic = 0.044715f;  // 2 sqrt(2 / pi)
  static F16 twice_u(F16 z, F16 squares) { return z * splat(kTwoRoot) * fma(squares, splat(kCubic), splat(1.0f)); }
  static F16 value(F16 z) { return z * sigmoid(twice_u(z, z * z)); }
  static Gate both(F16 z) {
    const F16 squares = z * z, s = sigmoid(twice_u(z, squares)), gelu = z * s;
    const F16 slope_of_u = splat(kTwoRoot) * fma(squares, splat(3 * kCubic), splat(1.0f));
    // Far out 1 - s or s is 0 while the slope of u may be infinite; there gelu is z or 0.
    return {gelu, fma(gelu * (splat(1.0f) - s), min(slope_of_u, splat(1e30f)), s)};
  }
};

template <typename Function>
void gated(const char* op, Tensor y, Tensor gate_up, const Exec& ex) {
  const int64_t T = y.rows(), F = y.cols();
  check_matrix(op, "gate_up", gate_up, T, 2 * F);
  CHECK(y.dtype == gate_up.dtype, "{}: {} to {}", op, dtype_name(gate_up.dtype), dtype_name(y.dtype));
  with_storage(y.dtype, [&]<typename A>(A) {
    for_rows(ex, T, F, [&](int64_t t) {
      const A *gate = row_of<A>(gate_up, t), *up = gate + F;
      A* to = row_of<A>(y, t);
      each_vector(F, [&](int64_t f, auto lanes) {
        store_first(to + f, Function::value(load_first(gate + f, lanes)) * load_first(up + f, lanes), lanes);
      });
    });
  });
}

template <typename Function>
void gated_backward(const char* op, Tensor dgate_up, Tensor y, Tensor dy, const TakenRows& gate_up, const Exec& ex) {
  const int64_t T = dy.rows(), F = dy.cols();
  CHECK(gate_up.rows() == T && gate_up.cols() == 2 * F, "{}: gate_up is {} x {}, wanted {} x {}", op, gate_up.rows(), gate_up.cols(),
        T, 2 * F);
  gate_up.check(op);
  check_matrix(op, "y", y, T, F);
  check_matrix(op, "dgate_up", dgate_up, T, 2 * F);
  const auto of_type = [&](DType dtype) { return dtype == gate_up.dtype(); };
  CHECK(of_type(y.dtype) && of_type(dy.dtype) && of_type(dgate_up.dtype), "{}: {} and {} to {} and {}", op, dtype_name(dy.dtype),
        dtype_name(gate_up.dtype()), dtype_name(dgate_up.dtype), dtype_name(y.dtype));
  with_storage(dy.dtype, [&]<typename A>(A) {
    for_rows(ex, T, F, [&](int64_t t) {
      const A *gate = gate_up.row<A>(t), *up = gate + F, *from = row_of<A>(dy, t);
      A *dgate = row_of<A>(dgate_up, t), *dup = dgate + F, *to = row_of<A>(y, t);
      const A* next = gate_up.row<A>(std::min(t + 1, T - 1));  // rows taken from elsewhere come from memory, in no order
      each_vector(F, [&](int64_t f, auto lanes) {
        if (f % (64 / static_cast<int64_t>(sizeof(A))) == 0) __builtin_prefetch(next + f), __builtin_prefetch(next + F + f);
        const F16 d = load_first(from + f, lanes), u = load_first(up + f, lanes);
        const Gate g = Function::both(load_first(gate + f, lanes));
        store_first(dgate + f, d * u * g.slope, lanes);
        store_first(dup + f, d * g.value, lanes);
        store_first(to + f, g.value * u, lanes);
      });
    });
  });
}

}  // namespace

void swiglu(Tensor y, Tensor gate_up, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::swiglu(y, gate_up, *ex.gpu);
  gated<Silu>("swiglu", y, gate_up, ex);
}
void swiglu_backward(Tensor dgate_up, Tensor y, Tensor dy, TakenRows gate_up, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::swiglu_backward(dgate_up, y, dy, gate_up.matrix(), *ex.gpu);
  gated_backward<Silu>("swiglu_backward", dgate_up, y, dy, gate_up, ex);
}

void geglu(Tensor y, Tensor gate_up, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::geglu(y, gate_up, *ex.gpu);
  gated<Gelu>("geglu", y, gate_up, ex);
}
void geglu_backward(Tensor dgate_up, Tensor y, Tensor dy, TakenRows gate_up, const Exec& ex) {
  if (ex.gpu != nullptr) return gpu::geglu_backward(dgate_up, y, dy, gate_up.matrix(), *ex.gpu);
  gated_backward<Gelu>("geglu_backward", dgate_up, y, dy, gate_up, ex);
}

}  // namespace cohort
