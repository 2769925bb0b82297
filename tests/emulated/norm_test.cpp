// RMS norms on the GPU against the CPU's, in every order, for every instantiation.
#include "model/cuda/norm.h"

#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

class GpuNorm : public GpuOps {};

// Columns: vectors of four and single ones, less than a block's threads and more.
constexpr int64_t kColumns[] = {1, 50, 64, 576, 1100};

TEST_F(GpuNorm, ForwardIsTheCpus) {
  for (DType dtype : kTypes) {
    for (int64_t C : kColumns) {
      for (int64_t skew : {0, 1}) {
        const int64_t T = 5;
        const Matrix x = Matrix::random(DType::f32, T, C, 1), gain = Matrix::random(dtype, 1, C, 2),
                     start = Matrix::random(DType::f32, T, C, 3);
        const NormParams params{1e-5f, 1.0f};
        Matrix y(dtype, T, C), rstd(DType::f32, T, 1), sum = start;
        rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), params, ex_);
        rmsnorm_add(sum.t(), {}, x.t(), gain.t(), params, ex_);
        const DeviceMatrix dx(x, skew), dgain(gain);
        const std::vector<Matrix> got = in_every_order([&] {
          DeviceMatrix dy(dtype, T, C), drstd(DType::f32, T, 1), dsum(start, skew);
          cuda::rmsnorm(dy.t(), drstd.t(), dx.t(), dgain.t(), params, stream_);
          cuda::rmsnorm_add(dsum.t(), {}, dx.t(), dgain.t(), params, stream_);
          synchronize();
          return std::vector<Matrix>{dy.host(), drstd.host(), dsum.host()};
        });
        expect_close(got[0], y, tolerance(dtype, 8) * (dtype == DType::bf16 ? 2 : 1));
        expect_close(got[1], rstd, 8 * kEps32);
        expect_close(got[2], sum, 8 * kEps32, 4);
      }
    }
  }
}

TEST_F(GpuNorm, BackwardIsTheCpus) {
  for (DType dtype : kTypes) {
    for (int64_t C : kColumns) {
      const int64_t T = 53;
      const Matrix x = Matrix::random(DType::f32, T, C, 1), gain = Matrix::random(dtype, 1, C, 2),
                   dy = Matrix::random(DType::f32, T, C, 3), start = Matrix::random(DType::f32, T, C, 4);
      Matrix y(dtype, T, C), rstd(DType::f32, T, 1), dx = start, dgain(DType::f32, 1, C);
      rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), {1e-5f}, ex_);
      rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), 0, ex_);
      const DeviceMatrix device_x(x), device_gain(gain), device_dy(dy), device_rstd(rstd);
      const std::vector<Matrix> got = in_every_order([&] {
        DeviceMatrix device_dx(start), device_dgain(DType::f32, 1, C),
            scratch(DType::f32, 1, cuda::rmsnorm_backward_scratch(T, C));
        cuda::rmsnorm_backward(device_dx.t(), device_dgain.t(), device_dy.t(), device_x.t(), device_gain.t(),
                               device_rstd.t(), 0, scratch.t(), stream_);
        synchronize();
        return std::vector<Matrix>{device_dx.host(), device_dgain.host()};
      });
      expect_close(got[0], dx, 16 * kEps32, C == 1 ? 1e3 : 10);  // of one column all but eps cancels, and rstd is large
      expect_close(got[1], dgain, 16 * kEps32, std::sqrt(T));
    }
  }
}

TEST_F(GpuNorm, PartsAreAddedAsIfEachWereAlone) {
  const int64_t T = 70, C = 64;
  const std::vector<RowPart> parts = {{0, 20, 0}, {20, 33, 1}, {53, 0, 0}, {53, 17, 2}};
  const Matrix x = Matrix::random(DType::f32, T, C, 1), gain = Matrix::random(DType::f32, 1, C, 2),
               dy = Matrix::random(DType::f32, T, C, 3), rstd = Matrix::random(DType::f32, T, 1, 4);
  const auto gain_gradient = [&](int64_t begin, int64_t count, std::span<const RowPart> with) {
    std::vector<int64_t> rows;
    for (int64_t t = begin; t < begin + count; ++t) rows.push_back(t);
    const DeviceMatrix device_x(x.take(rows)), device_gain(gain), device_dy(dy.take(rows)), device_rstd(rstd.take(rows));
    DeviceMatrix dx(Matrix(DType::f32, count, C)), dgain(DType::f32, 1, C),
        scratch(DType::f32, 1, cuda::rmsnorm_backward_scratch(count, C, with));
    cuda::rmsnorm_backward(dx.t(), dgain.t(), device_dy.t(), device_x.t(), device_gain.t(), device_rstd.t(), 0,
                           scratch.t(), stream_, with);
    synchronize();
    return dgain.host();
  };
  const Matrix all = gain_gradient(0, T, parts);
  const Matrix a = gain_gradient(0, 20, {}), b = gain_gradient(20, 33, {}), d = gain_gradient(53, 17, {});
  for (int64_t c = 0; c < C; ++c) EXPECT_EQ(all.get(c), (a.get(c) + b.get(c)) + (0.0f + d.get(c))) << c;
}

TEST_F(GpuNorm, RefusesWrongShapesAndPlaces) {
  const DeviceMatrix x(DType::f32, 4, 8), wide(DType::f32, 4, 16), gain(DType::f32, 1, 8), half(DType::bf16, 4, 8),
      small(DType::f32, 1, 7), rstd(DType::f32, 4, 1);
  const Matrix host(DType::f32, 4, 8);
  EXPECT_THROW(cuda::rmsnorm(wide.t(), {}, x.t(), gain.t(), {1e-5f}, stream_), Error);
  EXPECT_THROW(cuda::rmsnorm(half.t(), {}, x.t(), gain.t(), {1e-5f}, stream_), Error);
  EXPECT_THROW(cuda::rmsnorm(x.t(), gain.t(), x.t(), gain.t(), {1e-5f}, stream_), Error) << "8 scales for 4 rows";
  EXPECT_THROW(cuda::rmsnorm(x.t(), {}, host.t(), gain.t(), {1e-5f}, stream_), Error) << "host memory";
  EXPECT_THROW(cuda::rmsnorm_add(half.t(), {}, x.t(), gain.t(), {1e-5f}, stream_), Error);
  EXPECT_THROW(
      cuda::rmsnorm_backward(x.t(), gain.t(), x.t(), x.t(), gain.t(), rstd.t(), 0, small.t(), stream_), Error)
      << "scratch too small";
  EXPECT_THROW(cuda::rmsnorm_backward(x.t(), gain.t(), x.t(), x.t(), gain.t(), {}, 0, x.t(), stream_), Error);
}

}  // namespace
}  // namespace cohort
