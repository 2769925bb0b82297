// Norms of query and key heads on the GPU against the CPU's.
#include "model/cuda/norm.h"
#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

class GpuQkNorm : public GpuOps {
 protected:
  DeviceMatrix scratch(int64_t rows, int64_t head_size, std::span<const RowPart> parts = {}) {
    return {DType::f32, 1, std::max<int64_t>(1, cuda::qk_norm_backward_scratch(rows, head_size, parts))};
  }
};

TEST_F(GpuQkNorm, ForwardAndBackwardAreTheCpus) {
  const int64_t T = 21;
  for (DType dtype : kTypes) {
    for (const QkHeads& heads : {QkHeads{3, 2, 20}, QkHeads{9, 3, 64}, QkHeads{2, 1, 256}, QkHeads{1, 1, 1}}) {
      const int64_t D = heads.head_size, normed = heads.num_heads + heads.num_kv_heads, width = (normed + heads.num_kv_heads) * D;
      const Matrix start = Matrix::random(DType::f32, T, width, 1), q_gain = Matrix::random(dtype, 1, D, 2),
                   k_gain = Matrix::random(dtype, 1, D, 3), dy = Matrix::random(DType::f32, T, width, 4);
      const NormParams params{1e-5f, 1.0f};
      Matrix qkv = start, raw(DType::f32, T, normed * D), rstd(DType::f32, T, normed), dqkv = dy, dq_gain(DType::f32, 1, D),
             dk_gain(DType::f32, 1, D);
      qk_norm(qkv.t(), raw.t(), rstd.t(), q_gain.t(), k_gain.t(), heads, params, ex_);
      qk_norm_backward(dqkv.t(), dq_gain.t(), dk_gain.t(), raw.t(), rstd.t(), q_gain.t(), k_gain.t(), heads, params.offset, ex_);
      const DeviceMatrix device_q_gain(q_gain), device_k_gain(k_gain), host_raw(raw), host_rstd(rstd);
      const std::vector<Matrix> got = in_every_order([&] {
        const DeviceMatrix a(start), b(DType::f32, T, normed * D), c(DType::f32, T, normed), alone(start), d(dy),
            e(DType::f32, 1, D), f(DType::f32, 1, D), room = scratch(T, D);
        cuda::qk_norm(a.t(), b.t(), c.t(), device_q_gain.t(), device_k_gain.t(), heads, params, stream_);
        cuda::qk_norm(alone.t(), {}, {}, device_q_gain.t(), device_k_gain.t(), heads, params, stream_);
        cuda::qk_norm_backward(d.t(), e.t(), f.t(), host_raw.t(), host_rstd.t(), device_q_gain.t(), device_k_gain.t(), heads,
                               params.offset, room.t(), stream_);
        synchronize();
        return std::vector<Matrix>{a.host(), b.host(), c.host(), alone.host(), d.host(), e.host(), f.host()};
      });
      expect_close(got[0], qkv, 8 * kEps32);
      EXPECT_TRUE(got[1] == raw && got[3] == got[0]);
      expect_close(got[2], rstd, 8 * kEps32);
      expect_close(got[4], dqkv, 16 * kEps32, D == 1 ? 1e3 : 10);
      expect_close(got[5], dq_gain, 16 * kEps32, std::sqrt(static_cast<double>(T * heads.num_heads)));
      expect_close(got[6], dk_gain, 16 * kEps32, std::sqrt(static_cast<double>(T * heads.num_heads)));
    }
  }
}

TEST_F(GpuQkNorm, PartsAreAddedAsIfEachWereAlone) {
  const QkHeads heads{3, 1, 16};
  const int64_t T = 60, D = 16, normed = 4, width = 5 * D;
  const std::vector<RowPart> parts = {{0, 20, 0}, {20, 33, 1}, {53, 7, 1}};
  const Matrix dy = Matrix::random(DType::f32, T, width, 1), raw = Matrix::random(DType::f32, T, normed * D, 2),
               rstd = Matrix::random(DType::f32, T, normed, 3), gain = Matrix::random(DType::f32, 1, D, 4);
  const auto gradient = [&](int64_t begin, int64_t count, std::span<const RowPart> with) {
    std::vector<int64_t> rows;
    for (int64_t t = begin; t < begin + count; ++t) rows.push_back(t);
    const DeviceMatrix d(dy.take(rows)), x(raw.take(rows)), scales(rstd.take(rows)), g(gain), dq(DType::f32, 1, D),
        dk(DType::f32, 1, D), room = scratch(count, D, with);
    cuda::qk_norm_backward(d.t(), dq.t(), dk.t(), x.t(), scales.t(), g.t(), g.t(), heads, 0, room.t(), stream_, with);
    synchronize();
    return std::pair(dq.host(), dk.host());
  };
  const auto all = gradient(0, T, parts), a = gradient(0, 20, {}), b = gradient(20, 33, {}), c = gradient(53, 7, {});
  for (int64_t i = 0; i < D; ++i) {
    EXPECT_EQ(all.first.get(i), (a.first.get(i) + b.first.get(i)) + c.first.get(i));
    EXPECT_EQ(all.second.get(i), (a.second.get(i) + b.second.get(i)) + c.second.get(i));
  }
}

TEST_F(GpuQkNorm, RefusesWrongShapes) {
  const QkHeads heads{1, 1, 8};
  const DeviceMatrix qkv(DType::f32, 2, 24), gain(DType::f32, 1, 8), half(DType::bf16, 1, 8), raw(DType::f32, 2, 16),
      rstd(DType::f32, 2, 2), small(DType::f32, 1, 1), room = scratch(2, 8);
  EXPECT_THROW(cuda::qk_norm(raw.t(), {}, {}, gain.t(), gain.t(), heads, {1e-5f}, stream_), Error);
  EXPECT_THROW(cuda::qk_norm(qkv.t(), {}, {}, gain.t(), half.t(), heads, {1e-5f}, stream_), Error);
  EXPECT_THROW(cuda::qk_norm(qkv.t(), qkv.t(), {}, gain.t(), gain.t(), heads, {1e-5f}, stream_), Error);
  EXPECT_THROW(cuda::qk_norm(qkv.t(), {}, {}, gain.t(), gain.t(), {1, 1, 257}, {1e-5f}, stream_), Error);
  const auto backward = [&](Tensor r, Tensor s, Tensor to) {
    cuda::qk_norm_backward(qkv.t(), gain.t(), gain.t(), r, s, gain.t(), gain.t(), heads, 0, to, stream_);
  };
  EXPECT_THROW(backward({}, rstd.t(), room.t()), Error);
  EXPECT_THROW(backward(raw.t(), {}, room.t()), Error);
  EXPECT_THROW(backward(raw.t(), rstd.t(), small.t()), Error);
}

}  // namespace
}  // namespace cohort
