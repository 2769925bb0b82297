// Gated linear units on the GPU against the CPU's.
#include "model/cuda/gated.h"

#include "model/ops/gated.h"
#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

struct Gated {
  const char* name;
  void (*forward)(Tensor, Tensor, const Exec&);
  void (*backward)(Tensor, Tensor, Tensor, TakenRows, const Exec&);
  void (*device_forward)(Tensor, Tensor, cuda::Stream);
  void (*device_backward)(Tensor, Tensor, Tensor, Tensor, cuda::Stream);
};
constexpr Gated kFunctions[] = {{"swiglu", swiglu, swiglu_backward, cuda::swiglu, cuda::swiglu_backward},
                                {"geglu", geglu, geglu_backward, cuda::geglu, cuda::geglu_backward}};

class GpuGated : public GpuOps {};

TEST_F(GpuGated, ValuesAndGradientsAreTheCpus) {
  for (const Gated& function : kFunctions) {
    SCOPED_TRACE(function.name);
    for (DType dtype : kTypes) {
      for (int64_t F : {1, 50, 64, 192}) {
        const int64_t T = 5;
        Matrix gate_up = Matrix::random(dtype, T, 2 * F, 1, 3);
        gate_up.set(0, -200.0f);  // the sigmoid is 0 there
        if (F > 1) gate_up.set(1, 1e20f);  // its cube is infinite
        const Matrix dy = Matrix::random(dtype, T, F, 2);
        Matrix y(dtype, T, F), dgate_up(dtype, T, 2 * F);
        function.forward(y.t(), gate_up.t(), ex_);
        Matrix again(dtype, T, F);
        function.backward(dgate_up.t(), again.t(), dy.t(), gate_up.t(), ex_);
        const DeviceMatrix device_gate_up(gate_up);
        const std::vector<Matrix> got = in_every_order([&] {
          DeviceMatrix a(dtype, T, F), b(dtype, T, 2 * F), c(dy);
          function.device_forward(a.t(), device_gate_up.t(), stream_);
          function.device_backward(b.t(), c.t(), c.t(), device_gate_up.t(), stream_);
          synchronize();
          return std::vector<Matrix>{a.host(), b.host(), c.host()};
        });
        // A bf16 may round the other way: a whole unit apart.
        const double near = 16 * kEps32 + (dtype == DType::bf16 ? kEps16 : 0);
        expect_close(got[0], y, near, 1e-5);
        expect_close(got[1], dgate_up, near, 16 * kEps32 / near);
        EXPECT_TRUE(got[2] == got[0]) << "y, in place of dy";
      }
    }
  }
}

TEST_F(GpuGated, RefusesWrongShapesAndTypes) {
  const DeviceMatrix y(DType::f32, 2, 4), gate_up(DType::f32, 2, 8), half(DType::bf16, 2, 8), odd(DType::f32, 2, 7);
  for (const Gated& function : kFunctions) {
    EXPECT_THROW(function.device_forward(y.t(), odd.t(), stream_), Error);
    EXPECT_THROW(function.device_forward(y.t(), half.t(), stream_), Error);
    EXPECT_THROW(function.device_backward(half.t(), y.t(), y.t(), gate_up.t(), stream_), Error);
    EXPECT_THROW(function.device_backward(gate_up.t(), odd.t(), y.t(), gate_up.t(), stream_), Error);
    EXPECT_THROW(function.device_backward(odd.t(), y.t(), y.t(), gate_up.t(), stream_), Error);
  }
}

}  // namespace
}  // namespace cohort
