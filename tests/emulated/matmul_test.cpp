// Matrix products on the GPU against the CPU's, and what strict numerics promise of them.
#include "model/cuda/matmul.h"

#include "model/ops/matmul.h"
#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

using cuda::Products;

class GpuMatmul : public GpuOps {
 protected:
  DeviceMatrix scratch(int64_t n, int64_t k, std::span<const RowPart> parts = {}) {
    return {DType::f32, 1, std::max<int64_t>(1, cuda::matmul_backward_weight_scratch(n, k, parts))};
  }
  Products products_;
};

struct Shape {
  int64_t T, N, K;
};
constexpr Shape kShapes[] = {{1, 1, 1}, {1, 24, 64}, {5, 50, 33}, {67, 96, 128}, {130, 16, 576}};

TEST_F(GpuMatmul, ForwardAndBackwardAreTheCpus) {
  for (DType dtype : kTypes) {
    for (DType out : kTypes) {
      if (dtype == DType::f32 && out == DType::bf16) continue;
      for (const auto& [T, N, K] : kShapes) {
        const Matrix x = Matrix::random(dtype, T, K, 1), w = Matrix::random(dtype, N, K, 2),
                     dy = Matrix::random(dtype, T, N, 3);
        PackedWeight packed;
        pack_weight(packed, w.t(), ex_);
        Matrix y(out, T, N), dx(out, T, K), dw(DType::f32, N, K);
        matmul(y.t(), x.t(), packed, ex_);
        matmul_backward_input(dx.t(), dy.t(), packed, ex_);
        matmul_backward_weight(dw.t(), dy.t(), x.t(), ex_);
        const DeviceMatrix device_x(x), device_w(w), device_dy(dy);
        const std::vector<Matrix> got = in_every_order([&] {
          DeviceMatrix a(out, T, N), b(out, T, K), c(DType::f32, N, K);
          const DeviceMatrix room = scratch(N, K);
          cuda::matmul(a.t(), device_x.t(), device_w.t(), products_, stream_);
          cuda::matmul_backward_input(b.t(), device_dy.t(), device_w.t(), products_, stream_);
          cuda::matmul_backward_weight(c.t(), device_dy.t(), device_x.t(), products_, room.t(), stream_);
          synchronize();
          return std::vector<Matrix>{a.host(), b.host(), c.host()};
        });
        const double near = out == DType::bf16 ? kEps16 : 8 * kEps32;
        // Two orders of one sum.
        const auto floor = [&](int64_t sum) { return 16 * kEps32 * std::sqrt(static_cast<double>(sum)) / near + 1e-3; };
        expect_close(got[0], y, near, floor(K));
        expect_close(got[1], dx, near, floor(N));
        expect_close(got[2], dw, 8 * kEps32, 4 * std::sqrt(static_cast<double>(T)));
      }
    }
  }
}

TEST_F(GpuMatmul, AccumulatesInFloat32) {
  const int64_t T = 9, N = 32, K = 64;
  for (DType dtype : kTypes) {
    const Matrix x = Matrix::random(dtype, T, K, 1), w = Matrix::random(dtype, N, K, 2), dy = Matrix::random(dtype, T, N, 3),
                 y = Matrix::random(DType::f32, T, N, 4), dx = Matrix::random(DType::f32, T, K, 5);
    const DeviceMatrix device_x(x), device_w(w), device_dy(dy), fresh_y(DType::f32, T, N), fresh_dx(DType::f32, T, K),
        sum_y(y), sum_dx(dx);
    cuda::matmul(fresh_y.t(), device_x.t(), device_w.t(), products_, stream_);
    cuda::matmul(sum_y.t(), device_x.t(), device_w.t(), products_, stream_, true);
    cuda::matmul_backward_input(fresh_dx.t(), device_dy.t(), device_w.t(), products_, stream_);
    cuda::matmul_backward_input(sum_dx.t(), device_dy.t(), device_w.t(), products_, stream_, true);
    synchronize();
    const Matrix a = fresh_y.host(), b = sum_y.host(), c = fresh_dx.host(), d = sum_dx.host();
    for (int64_t i = 0; i < T * N; ++i) EXPECT_EQ(b.get(i), a.get(i) + y.get(i));
    for (int64_t i = 0; i < T * K; ++i) EXPECT_EQ(d.get(i), c.get(i) + dx.get(i));
  }
}

TEST_F(GpuMatmul, ARowsBitsDoNotDependOnItsNeighbours) {
  const int64_t T = 67, N = 48, K = 256;  // long enough for the library to prefer a split
  for (DType dtype : kTypes) {
    const Matrix x = Matrix::random(dtype, T, K, 1), w = Matrix::random(dtype, N, K, 2);
    const DeviceMatrix device_x(x), device_w(w), all(DType::f32, T, N), some(DType::f32, T, N);
    cuda::matmul(all.t(), device_x.t(), device_w.t(), products_, stream_);
    for (int64_t begin = 0, count = 1; begin < T; begin += count, count = std::min(2 * count, T - begin))
      cuda::matmul(some.t().slice_rows(begin, count), device_x.t().slice_rows(begin, count), device_w.t(), products_, stream_);
    synchronize();
    EXPECT_TRUE(all.host() == some.host());
    emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));
    for (const cuda::Direction direction : {cuda::Direction::forward, cuda::Direction::input})
      for (const DType out : {DType::f32, dtype}) cuda::check_rows_alike(direction, device_w.t(), out, products_, stream_);
  }
}

TEST_F(GpuMatmul, ALibraryWhoseSumsDependOnOtherRowsIsRefused) {
  const Matrix w = Matrix::random(DType::bf16, 48, 256, 2);
  const DeviceMatrix device_w(w);
  cuda::Products fast(Numerics::fast, 48 * 4 * sizeof(float) * 8);  // room for a split of 8 rows
  emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));  // what is compared has been waited for
  try {
    cuda::check_rows_alike(cuda::Direction::forward, device_w.t(), DType::f32, fast, stream_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInternal);
    EXPECT_NE(std::string(error.what()).find("forward n=48 k=256"), std::string::npos) << error.what();
  }
}

TEST_F(GpuMatmul, PartsAreAddedAsIfEachWereAlone) {
  const int64_t T = 100, N = 16, K = 24;
  const std::vector<RowPart> parts = {{0, 20, 0}, {20, 33, 1}, {53, 0, 0}, {53, 17, 1}, {70, 1, 0}, {71, 29, 3}};
  for (DType dtype : kTypes) {
    const Matrix dy = Matrix::random(dtype, T, N, 1), x = Matrix::random(dtype, T, K, 2);
    const DeviceMatrix device_dy(dy), device_x(x);
    const auto gradient = [&](int64_t begin, int64_t count, std::span<const RowPart> with) {
      DeviceMatrix dw(DType::f32, N, K);
      const DeviceMatrix room = scratch(N, K, with);
      cuda::matmul_backward_weight(dw.t(), device_dy.t().slice_rows(begin, count), device_x.t().slice_rows(begin, count),
                                   products_, room.t(), stream_, with);
      synchronize();
      return dw.host();
    };
    const Matrix all = in_every_order([&] { return std::vector<Matrix>{gradient(0, T, parts)}; })[0];
    const Matrix a = gradient(0, 20, {}), b = gradient(20, 33, {}), d = gradient(53, 17, {}), e = gradient(70, 1, {}),
                 f = gradient(71, 29, {});
    for (int64_t i = 0; i < N * K; ++i) {
      const float cd = 0.0f + d.get(i), ef = e.get(i) + f.get(i);
      EXPECT_EQ(all.get(i), (a.get(i) + b.get(i)) + (cd + ef)) << i;
    }
  }
  EXPECT_EQ(cuda::matmul_backward_weight_scratch(N, K, {}), 0);
  const std::vector<RowPart> pair = {{0, 3, 0}, {3, 4, 1}};
  EXPECT_EQ(cuda::matmul_backward_weight_scratch(N, K, pair), 0) << "the second is added where the first lies";
  EXPECT_EQ(cuda::matmul_backward_weight_scratch(N, K, parts), 2 * N * K);
}

TEST_F(GpuMatmul, SumsOfNoRowsAreZero) {
  const std::vector<RowPart> parts = {{0, 0, 0}, {0, 0, 1}};
  const DeviceMatrix none(DType::bf16, 0, 8), dw(DType::f32, 8, 8), room = scratch(8, 8, parts);
  cuda::matmul_backward_weight(dw.t(), none.t(), none.t(), products_, room.t(), stream_, parts);
  synchronize();
  EXPECT_TRUE(dw.host() == Matrix(DType::f32, 8, 8));
}

TEST_F(GpuMatmul, StrictNeverSplitsAndIsRecordedAndFastTakesTheLibrarysFirst) {
  const int64_t T = 3, N = 16, K = 256;
  const Matrix x = Matrix::random(DType::bf16, T, K, 1), w = Matrix::random(DType::bf16, N, K, 2);
  const DeviceMatrix device_x(x), device_w(w);
  Products fast(Numerics::fast);
  const auto product = [&](Products& with) {
    const DeviceMatrix y(DType::f32, T, N);
    cuda::matmul(y.t(), device_x.t(), device_w.t(), with, stream_);
    synchronize();
    return y.host();
  };
  const Matrix y = product(products_), other = product(fast);
  EXPECT_FALSE(y == other) << "the fake library gives a split other bits";
  ASSERT_EQ(products_.record().size(), 1u);
  EXPECT_EQ(products_.record()[0].find("forward bfloat16 float32 n=16 k=256 rows=any | cublasLt "), 0u);
  EXPECT_NE(products_.record()[0].find("split=1 |"), std::string::npos) << products_.record()[0];
  ASSERT_EQ(fast.record().size(), 1u);
  EXPECT_EQ(fast.record()[0].find("forward bfloat16 float32 n=16 k=256 rows=4 |"), 0u);
  EXPECT_NE(fast.record()[0].find("split=4 |"), std::string::npos) << fast.record()[0];
}

TEST_F(GpuMatmul, ARecordIsTakenUpAgain) {
  const int64_t T = 3, N = 16, K = 256;
  const Matrix x = Matrix::random(DType::bf16, T, K, 1), w = Matrix::random(DType::bf16, N, K, 2);
  const DeviceMatrix device_x(x), device_w(w), y(DType::f32, T, N);
  cuda::matmul(y.t(), device_x.t(), device_w.t(), products_, stream_);
  std::vector<std::string> record = products_.record();
  const auto again = [&](std::vector<std::string> from) {
    Products other;
    other.restore(from);
    cuda::matmul(y.t(), device_x.t(), device_w.t(), other, stream_);
    synchronize();
    return other.record();
  };
  EXPECT_EQ(again(record), record);
  {  // also where another choice has been made already
    emulated::set_settings(emulated::parse_settings("other_products=1"));
    Products late;
    cuda::matmul(y.t(), device_x.t(), device_w.t(), late, stream_);
    synchronize();
    EXPECT_NE(late.record(), record);
    late.restore(record);
    cuda::matmul(y.t(), device_x.t(), device_w.t(), late, stream_);
    synchronize();
    EXPECT_EQ(late.record(), record);
    emulated::set_settings({});
  }
  ExitCode code{};
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::vector<std::string> damaged = record;
    damaged[0].replace(damaged[0].find(from), from.size(), to);
    return message_of([&] { again(damaged); }, code);
  };
  const std::string digits = record[0].substr(record[0].rfind(' ') + 1);
  EXPECT_NE(refused("cublasLt ", "cublasLt 1").find("was made by cublasLt 1"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kInput);
  EXPECT_NE(refused(digits, digits.substr(1)).find("damaged line"), std::string::npos);
  EXPECT_NE(refused(digits, std::string(digits.size(), 'g')).find("damaged line"), std::string::npos);
  EXPECT_NE(refused(digits, std::string(digits.size(), '0')).find("does not run on this device"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kInput);
}

TEST_F(GpuMatmul, NoWorkspaceIsNeededForStrictNumerics) {
  Products small(Numerics::strict, 0);
  const DeviceMatrix x(Matrix::random(DType::bf16, 2, 256, 1)), w(Matrix::random(DType::bf16, 8, 256, 2)), a(DType::f32, 2, 8),
      b(DType::f32, 2, 8);
  cuda::matmul(a.t(), x.t(), w.t(), small, stream_);
  cuda::matmul(b.t(), x.t(), w.t(), products_, stream_);
  synchronize();
  EXPECT_TRUE(a.host() == b.host());
}

TEST_F(GpuMatmul, WithoutADeviceOrMemoryThereIsAnError) {
  ExitCode code{};
  emulated::set_settings(emulated::parse_settings("fail_malloc=1"));
  EXPECT_NE(message_of([] { Products products; }, code).find("cannot take the workspace of cuBLASLt"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kResources);
  emulated::set_settings(emulated::parse_settings("devices=0"));
  EXPECT_NE(message_of([] { Products products; }, code).find("cannot start cuBLASLt"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kUsage);
  emulated::set_settings({});
}

TEST_F(GpuMatmul, RefusesWrongShapesTypesAndPlaces) {
  const DeviceMatrix x(DType::bf16, 4, 16), w(DType::bf16, 8, 16), y(DType::f32, 4, 8), wide(DType::f32, 4, 16),
      half(DType::bf16, 4, 8), single(DType::f32, 8, 16), skewed(DType::bf16, 8, 16, 1), dw(DType::f32, 8, 16), none(DType::f32, 1, 1);
  const Matrix host(DType::bf16, 8, 16);
  EXPECT_THROW(cuda::matmul(wide.t(), x.t(), w.t(), products_, stream_), Error);
  EXPECT_THROW(cuda::matmul(y.t(), x.t(), single.t(), products_, stream_), Error) << "types";
  EXPECT_THROW(cuda::matmul(half.t(), x.t(), w.t(), products_, stream_, true), Error) << "adds to bfloat16";
  EXPECT_THROW(cuda::matmul(y.t(), x.t(), host.t(), products_, stream_), Error) << "host memory";
  EXPECT_THROW(cuda::matmul(y.t(), x.t(), skewed.t(), products_, stream_), Error) << "alignment";
  EXPECT_THROW(cuda::matmul_backward_input(y.t(), half.t(), w.t(), products_, stream_), Error);
  EXPECT_THROW(cuda::matmul_backward_weight(wide.t(), half.t(), x.t(), products_, none.t(), stream_), Error);
  const std::vector<RowPart> four = {{0, 1, 0}, {1, 1, 0}, {2, 2, 2}}, open = {{0, 2, 0}, {2, 2, 0}};
  EXPECT_THROW(cuda::matmul_backward_weight(dw.t(), half.t(), x.t(), products_, none.t(), stream_, four), Error) << "scratch";
  EXPECT_THROW(cuda::matmul_backward_weight(dw.t(), half.t(), x.t(), products_, none.t(), stream_, open), Error);
}

}  // namespace
}  // namespace cohort
