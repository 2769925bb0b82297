// The optimizer's ops on the GPU: the CPU's bits.
#include "model/cuda/update.h"

#include <cmath>

#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

class GpuUpdate : public GpuOps {};

std::span<float> floats(Matrix& m) { return {m.t().f32(), static_cast<size_t>(m.cols)}; }

TEST_F(GpuUpdate, AdamWIsTheCpusBits) {
  for (DType dtype : kTypes) {
    for (int64_t n : {1, 1003, 4096}) {
      const Matrix master = Matrix::random(DType::f32, 1, n, 1), gradient = Matrix::random(DType::f32, 1, n, 2);
      Matrix m = Matrix::random(DType::f32, 1, n, 3), v = Matrix::random(DType::f32, 1, n, 4);
      for (int64_t i = 0; i < n; ++i) v.set(i, v.get(i) * v.get(i));
      const AdamWStep step{.learning_rate = 1e-3f, .weight_decay = 0.1f, .gradient_scale = 0.7f, .step = 5};
      // The CPU keeps a bfloat16 weight's master as the weight, its lower half and the sign of v.
      Matrix a(DType::f32, 1, n), b = m, c = v, g = gradient, from = master, weight(dtype, 1, n);
      std::vector<uint16_t> low(dtype == DType::bf16 ? static_cast<size_t>(n) : 0);
      const AdamWState state{low, floats(b), floats(c)};
      split_masters(weight.t(), state, floats(from));
      adamw(weight.t(), state, floats(g), step, ex_);
      join_masters(floats(a), weight.t(), state);
      for (int64_t i = 0; i < n; ++i) c.set(i, std::abs(c.get(i)));
      const DeviceMatrix device_gradient(gradient);
      const std::vector<Matrix> got = in_every_order([&] {
        DeviceMatrix da(master), db(m), dc(v), dweight(dtype, 1, n);
        cuda::adamw(da.t(), db.t(), dc.t(), device_gradient.t(), dweight.t(), step, stream_);
        synchronize();
        return std::vector<Matrix>{da.host(), db.host(), dc.host(), dweight.host()};
      });
      EXPECT_TRUE(got[0] == a && got[1] == b && got[2] == c && got[3] == weight) << dtype_name(dtype) << " " << n;
    }
  }
}

TEST_F(GpuUpdate, OrderedSumsAreTheCpusBits) {
  for (int64_t n : {7, 1024}) {
    for (int64_t skew : {0, 1}) {
      std::vector<Matrix> terms;
      std::vector<DeviceMatrix> device;
      std::vector<Tensor> tensors;
      for (uint64_t i = 0; i < 5; ++i) {
        terms.push_back(Matrix::random(DType::f32, 1, n, i));
        device.emplace_back(terms.back(), skew);
      }
      for (const DeviceMatrix& d : device) tensors.push_back(d.t());
      const std::vector<int> merges = {0, 1, 0, 2, 1};
      const std::vector<Matrix> got = in_every_order([&] {
        DeviceMatrix chain(DType::f32, 1, n), tree(DType::f32, 1, n);
        cuda::ordered_sum(chain.t(), tensors, {}, stream_);
        cuda::ordered_sum(tree.t(), tensors, merges, stream_);
        synchronize();
        return std::vector<Matrix>{chain.host(), tree.host()};
      });
      const auto at = [&](size_t i, int64_t c) { return terms[i].get(c); };
      for (int64_t c = 0; c < n; ++c) {
        EXPECT_EQ(got[0].get(c), (((at(0, c) + at(1, c)) + at(2, c)) + at(3, c)) + at(4, c));
        EXPECT_EQ(got[1].get(c), ((at(0, c) + at(1, c)) + (at(2, c) + at(3, c))) + at(4, c));
      }
    }
  }
}

TEST_F(GpuUpdate, AnOrderedSumMayOverwriteATerm) {
  const Matrix a = Matrix::random(DType::f32, 1, 100, 1), b = Matrix::random(DType::f32, 1, 100, 2);
  const DeviceMatrix device_a(a), device_b(b);
  const std::vector<Tensor> terms = {device_a.t(), device_b.t()};
  cuda::ordered_sum(device_b.t(), terms, {}, stream_);
  synchronize();
  const Matrix sum = device_b.host();
  for (int64_t c = 0; c < 100; ++c) EXPECT_EQ(sum.get(c), a.get(c) + b.get(c));
}

TEST_F(GpuUpdate, SumsOfSquaresAreTheCpusBits) {
  for (int64_t n : {0, 1, 15, 4096, 4097, 12288, 100007}) {
    Matrix x = Matrix::random(DType::f32, 1, std::max<int64_t>(n, 1), 5);
    const double wanted = sum_of_squares(floats(x).first(static_cast<size_t>(n)), ex_);
    const DeviceMatrix device_x(x);
    const Tensor data(device_x.t().data, DType::f32, {n}, Device::cuda);
    const DeviceBytes scratch(cuda::sum_of_squares_scratch(n)), result(sizeof(double));
    for (const char* order : kOrders) {
      emulated::set_settings(emulated::parse_settings(order));
      double got = -1;
      cuda::sum_of_squares(static_cast<double*>(result.get()), data, scratch.get(), stream_);
      synchronize();
      ASSERT_EQ(cudaMemcpy(&got, result.get(), sizeof(got), cudaMemcpyDeviceToHost), cudaSuccess);
      EXPECT_EQ(got, wanted) << n << " numbers, " << order;
    }
  }
}

TEST_F(GpuUpdate, TheTreeOverManyChunksIsTheCpus) {
  // More chunks than one block of the tree takes, and an odd number at several levels: few numbers stand for a chunk each.
  const int64_t n = 4096 * 517 - 4095;
  Matrix x(DType::f32, 1, n);
  for (int64_t c = 0; c < 517; ++c) x.set(4096 * c, 1.0f + static_cast<float>(c) * 0x1p-20f);
  const double wanted = sum_of_squares(floats(x), ex_);
  const DeviceMatrix device_x(x);
  const DeviceBytes scratch(cuda::sum_of_squares_scratch(n)), result(sizeof(double));
  double got = -1;
  cuda::sum_of_squares(static_cast<double*>(result.get()), device_x.t(), scratch.get(), stream_);
  synchronize();
  ASSERT_EQ(cudaMemcpy(&got, result.get(), sizeof(got), cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(got, wanted);
}

TEST_F(GpuUpdate, TheFirstNumberThatIsNotFiniteIsFound) {
  for (int64_t n : {0, 1, 700, 40000}) {
    for (int64_t at : {int64_t{-1}, int64_t{0}, n / 2, n - 1}) {
      if (at >= n) continue;
      Matrix x = Matrix::random(DType::f32, 1, std::max<int64_t>(n, 1), 7);
      if (at >= 0) x.set(at, at % 2 == 0 ? std::numeric_limits<float>::quiet_NaN() : -std::numeric_limits<float>::infinity());
      if (at >= 0) x.set(n - 1, std::numeric_limits<float>::infinity());  // a later one
      EXPECT_EQ(find_non_finite(floats(x).first(static_cast<size_t>(n)), ex_), at);
      const DeviceMatrix device_x(x);
      const Tensor data(device_x.t().data, DType::f32, {n}, Device::cuda);
      const DeviceBytes scratch(cuda::find_non_finite_scratch(n)), result(sizeof(int64_t));
      for (const char* order : kOrders) {
        emulated::set_settings(emulated::parse_settings(order));
        int64_t got = -2;
        cuda::find_non_finite(static_cast<int64_t*>(result.get()), data, scratch.get(), stream_);
        synchronize();
        ASSERT_EQ(cudaMemcpy(&got, result.get(), sizeof(got), cudaMemcpyDeviceToHost), cudaSuccess);
        EXPECT_EQ(got, at) << n << " numbers, " << order;
      }
      emulated::set_settings({});
    }
  }
}

TEST_F(GpuUpdate, RefusesWrongSizes) {
  const DeviceMatrix a(DType::f32, 1, 4), b(DType::f32, 1, 3);
  const AdamWStep good{.learning_rate = 1e-3f};
  EXPECT_THROW(cuda::adamw(a.t(), b.t(), a.t(), a.t(), a.t(), good, stream_), Error);
  EXPECT_THROW(cuda::adamw(a.t(), a.t(), a.t(), a.t(), a.t(), {.learning_rate = 1e-3f, .step = 0}, stream_), Error);
  EXPECT_THROW(cuda::adamw(a.t(), a.t(), a.t(), a.t(), a.t(), {.learning_rate = 1e-3f, .beta1 = 1.0f}, stream_), Error);
  const std::vector<Tensor> uneven = {a.t(), b.t()}, two = {a.t(), a.t()}, many(17, a.t());
  const std::vector<int> none = {0, 0}, all = {0, 2}, one = {0};
  EXPECT_THROW(cuda::ordered_sum(a.t(), uneven, {}, stream_), Error);
  EXPECT_THROW(cuda::ordered_sum(a.t(), {}, {}, stream_), Error);
  EXPECT_THROW(cuda::ordered_sum(a.t(), many, {}, stream_), Error);
  EXPECT_THROW(cuda::ordered_sum(a.t(), two, none, stream_), Error) << "two sums are left";
  EXPECT_THROW(cuda::ordered_sum(a.t(), two, all, stream_), Error);
  EXPECT_THROW(cuda::ordered_sum(a.t(), two, one, stream_), Error);
}

}  // namespace
}  // namespace cohort
