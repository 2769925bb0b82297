// Biases, casts and row moves on the GPU against the CPU's.
#include "model/cuda/elementwise.h"

#include "model/ops/elementwise.h"
#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

class GpuElementwise : public GpuOps {
 protected:
  DeviceMatrix scratch(int64_t rows, int64_t columns, std::span<const RowPart> parts = {}) {
    return {DType::f32, 1, std::max<int64_t>(1, cuda::bias_backward_scratch(rows, columns, parts))};
  }
};

TEST_F(GpuElementwise, BiasesAreAddedAsOnTheCpu) {
  const int64_t T = 5;
  for (DType dtype : kTypes) {
    for (int64_t N : {1, 50, 64, 1000}) {
      const Matrix start = Matrix::random(DType::f32, T, N, 1), bias = Matrix::random(dtype, 1, N, 2);
      Matrix y = start;
      add_bias(y.t(), bias.t(), ex_);
      const DeviceMatrix device_bias(bias);
      const std::vector<Matrix> got = in_every_order([&] {
        const DeviceMatrix device_y(start);
        cuda::add_bias(device_y.t(), device_bias.t(), stream_);
        synchronize();
        return std::vector<Matrix>{device_y.host()};
      });
      EXPECT_TRUE(got[0] == y);
    }
  }
}

TEST_F(GpuElementwise, BiasGradientsAreTheCpusAndPartsAreAddedAsIfEachWereAlone) {
  const int64_t T = 70;
  const std::vector<RowPart> parts = {{0, 20, 0}, {20, 33, 1}, {53, 0, 0}, {53, 17, 2}};
  for (DType dtype : kTypes) {
    for (int64_t N : {1, 50, 300}) {
      const Matrix dy = Matrix::random(dtype, T, N, 3);
      Matrix wanted(DType::f32, 1, N);
      bias_backward(wanted.t(), dy.t(), ex_, parts);
      const DeviceMatrix device_dy(dy);
      const auto gradient = [&](int64_t begin, int64_t count, std::span<const RowPart> with) {
        const DeviceMatrix dbias(DType::f32, 1, N), room = scratch(count, N, with);
        cuda::bias_backward(dbias.t(), device_dy.t().slice_rows(begin, count), room.t(), stream_, with);
        synchronize();
        return dbias.host();
      };
      const Matrix all = in_every_order([&] { return std::vector<Matrix>{gradient(0, T, parts)}; })[0];
      expect_close(all, wanted, 8 * kEps32, std::sqrt(static_cast<double>(T)));
      const Matrix a = gradient(0, 20, {}), b = gradient(20, 33, {}), d = gradient(53, 17, {});
      for (int64_t c = 0; c < N; ++c) EXPECT_EQ(all.get(c), (a.get(c) + b.get(c)) + (0.0f + d.get(c)));
    }
  }
}

TEST_F(GpuElementwise, CastsAreTheCpusBits) {
  for (DType from : kTypes) {
    for (DType to : kTypes) {
      for (int64_t n : {1, 63, 512}) {
        Matrix x = Matrix::random(from, 3, n, 4);
        x.set(0, std::numeric_limits<float>::infinity());
        Matrix y(to, 3, n);
        cast(y.t(), x.t(), ex_);
        for (int64_t skew : {0, 1}) {
          const DeviceMatrix device_x(x, skew);
          const std::vector<Matrix> got = in_every_order([&] {
            const DeviceMatrix device_y(to, 3, n);
            cuda::cast(device_y.t(), device_x.t(), stream_);
            synchronize();
            return std::vector<Matrix>{device_y.host()};
          });
          EXPECT_TRUE(got[0] == y);
        }
      }
    }
  }
}

TEST_F(GpuElementwise, RowsAreGatheredFromTwoMatrices) {
  const std::vector<int32_t> rows = {3, -1, 0, 3, -2};
  for (DType dtype : kTypes) {
    for (int64_t C : {7, 64}) {
      const Matrix x = Matrix::random(dtype, 4, C, 5), other = Matrix::random(dtype, 2, C, 6);
      Matrix y(dtype, 5, C);
      gather_rows(y.t(), x.t(), rows, ex_, other.t());
      const DeviceMatrix device_x(x), device_other(other), device_rows(rows);
      const std::vector<Matrix> got = in_every_order([&] {
        const DeviceMatrix device_y(dtype, 5, C);
        cuda::gather_rows(device_y.t(), device_x.t(), device_rows.t(), stream_, device_other.t());
        synchronize();
        return std::vector<Matrix>{device_y.host()};
      });
      EXPECT_TRUE(got[0] == y);
    }
  }
}

TEST_F(GpuElementwise, RowsOutsideAreNaNAndNothingIsRead) {
  const DeviceMatrix x(Matrix::random(DType::f32, 4, 8, 7)), rows(std::vector<int32_t>{4, -1, 2}), y(DType::f32, 3, 8);
  cuda::gather_rows(y.t(), x.t(), rows.t(), stream_);
  synchronize();
  const Matrix got = y.host();
  for (int64_t c = 0; c < 8; ++c) EXPECT_TRUE(std::isnan(got.at(0, c)) && std::isnan(got.at(1, c)) && !std::isnan(got.at(2, c)));
}

TEST_F(GpuElementwise, ScatteredSumsAreTheCpusBits) {
  const std::vector<int32_t> rows = {5, 1, 5, 5, 0, 1};
  for (int64_t C : {1, 50, 300}) {
    const Matrix start = Matrix::random(DType::f32, 7, C, 8), dy = Matrix::random(DType::f32, 6, C, 9);
    Matrix dx = start;
    scatter_add_rows(dx.t(), dy.t(), rows, ex_);
    const cuda::EmbeddingOrder order = cuda::scatter_order(rows, 7);
    const DeviceMatrix device_dy(dy), device_order(order.numbers);
    const std::vector<Matrix> got = in_every_order([&] {
      const DeviceMatrix device_dx(start);
      cuda::scatter_add_rows(device_dx.t(), device_dy.t(), order, device_order.t(), stream_);
      synchronize();
      return std::vector<Matrix>{device_dx.host()};
    });
    EXPECT_TRUE(got[0] == dx);
  }
}

TEST_F(GpuElementwise, RefusesWrongShapesAndRows) {
  const DeviceMatrix y(DType::f32, 2, 4), bias(DType::f32, 1, 3), half(DType::bf16, 2, 4), rows(std::vector<int32_t>{0, 1}),
      one(std::vector<int32_t>{0}), small(DType::f32, 1, 1), wide(DType::f32, 1, 4);
  EXPECT_THROW(cuda::add_bias(y.t(), bias.t(), stream_), Error);
  EXPECT_THROW(cuda::add_bias(half.t(), half.t().slice_rows(0, 1), stream_), Error) << "sums in float32";
  EXPECT_THROW(cuda::bias_backward(bias.t(), y.t(), wide.t(), stream_), Error);
  EXPECT_THROW(cuda::bias_backward(wide.t(), y.t(), small.t(), stream_), Error) << "scratch";
  EXPECT_THROW(cuda::cast(bias.t(), y.t(), stream_), Error);
  EXPECT_THROW(cuda::cast(y.t(), rows.t(), stream_), Error);
  EXPECT_THROW(cuda::gather_rows(y.t(), half.t(), rows.t(), stream_), Error);
  EXPECT_THROW(cuda::gather_rows(y.t(), y.t(), one.t(), stream_), Error);
  EXPECT_THROW((void)cuda::scatter_order(std::vector<int32_t>{0, 7}, 7), Error);
  EXPECT_THROW((void)cuda::scatter_order(std::vector<int32_t>{-1}, 7), Error);
  const cuda::EmbeddingOrder order = cuda::scatter_order(std::vector<int32_t>{0, 1}, 2);
  EXPECT_THROW(cuda::scatter_add_rows(y.t(), y.t(), order, one.t(), stream_), Error);
  EXPECT_THROW(cuda::scatter_add_rows(y.t(), wide.t(), order, rows.t(), stream_), Error);
}

}  // namespace
}  // namespace cohort
