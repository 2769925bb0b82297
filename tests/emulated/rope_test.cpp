// Rotary embedding on the GPU against the CPU's.
#include "model/cuda/rope.h"

#include "model/ops/rope.h"
#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

class GpuRope : public GpuOps {};

TEST_F(GpuRope, TurnsAndSplitsAsTheCpu) {
  const int64_t T = 6, H = 3, K = 2;
  const std::vector<int32_t> positions = {0, 1, 5, 5, 1000, 131071};
  for (DType dtype : kTypes) {
    for (int64_t D : {2, 12, 64}) {
      const std::vector<float> frequencies = rope_inverse_frequencies(D, 10000.0f);
      Matrix frequency(DType::f32, 1, D / 2);
      for (int64_t i = 0; i < D / 2; ++i) frequency.set(i, frequencies[static_cast<size_t>(i)]);
      const Matrix qkv = Matrix::random(DType::f32, T, (H + 2 * K) * D, 1);
      Matrix q(dtype, T, H * D), k(dtype, T, K * D), v(dtype, T, K * D);
      rope_split(q.t(), k.t(), v.t(), qkv.t(), positions, frequencies, H, K, ex_);
      const Matrix dq = Matrix::random(DType::f32, T, H * D, 2), dk = Matrix::random(DType::f32, T, K * D, 3),
                   dv = Matrix::random(DType::f32, T, K * D, 4);
      Matrix dqkv(dtype, T, (H + 2 * K) * D);
      rope_split_backward(dqkv.t(), dq.t(), dk.t(), dv.t(), positions, frequencies, H, K, ex_);

      const DeviceMatrix device_qkv(qkv), device_frequency(frequency), device_dq(dq), device_dk(dk), device_dv(dv),
          device_positions(positions);
      const std::vector<Matrix> got = in_every_order([&] {
        DeviceMatrix a(dtype, T, H * D), b(dtype, T, K * D), c(dtype, T, K * D), joined(dtype, T, (H + 2 * K) * D);
        cuda::rope_split(a.t(), b.t(), c.t(), device_qkv.t(), device_positions.t(), device_frequency.t(), H, K, stream_);
        cuda::rope_split_backward(joined.t(), device_dq.t(), device_dk.t(), device_dv.t(), device_positions.t(),
                                  device_frequency.t(), H, K, stream_);
        synchronize();
        return std::vector<Matrix>{a.host(), b.host(), c.host(), joined.host()};
      });
      // Sine and cosine differ by a unit or two of 1; a value and its partner are at most about 5.
      const double near = dtype == DType::bf16 ? kEps16 : 2 * kEps32;
      expect_close(got[0], q, near, 8 * kEps32 / near);
      expect_close(got[1], k, near, 8 * kEps32 / near);
      EXPECT_TRUE(got[2] == v) << "values are only cast";
      expect_close(got[3], dqkv, near, 8 * kEps32 / near);
    }
  }
}

TEST_F(GpuRope, RefusesWrongShapes) {
  const DeviceMatrix q(DType::f32, 2, 8), k(DType::f32, 2, 4), qkv(DType::f32, 2, 16), half(DType::bf16, 2, 4),
      frequency(DType::f32, 1, 2), wide(DType::f32, 1, 129), positions(std::vector<int32_t>{0, 1});
  EXPECT_THROW(cuda::rope_split(k.t(), k.t(), k.t(), qkv.t(), positions.t(), frequency.t(), 2, 1, stream_), Error);
  EXPECT_THROW(cuda::rope_split(q.t(), half.t(), k.t(), qkv.t(), positions.t(), frequency.t(), 2, 1, stream_), Error);
  EXPECT_THROW(cuda::rope_split(q.t(), k.t(), k.t(), qkv.t(), positions.t(), wide.t(), 2, 1, stream_), Error);
  EXPECT_THROW(cuda::rope_split(half.t(), half.t(), half.t(), half.t(), positions.t(), frequency.t(), 2, 1, stream_),
               Error)
      << "qkv is float32";
}

}  // namespace
}  // namespace cohort
