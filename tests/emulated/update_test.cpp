// The optimizer's ops on the GPU: the CPU's bits.
#include "model/cuda/update.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

class GpuUpdate : public GpuOps {};

std::span<float> floats(Matrix& m) { return {m.t().f32(), static_cast<size_t>(m.cols)}; }

// State and weights, bf16 ones with masters that were rounded up and down.
TEST_F(GpuUpdate, AdamWIsTheCpusBits) {
  for (DType dtype : kTypes) {
    for (int64_t n : {1, 1003, 4096}) {
      const size_t count = static_cast<size_t>(n), halves = dtype == DType::bf16 ? count : 0;
      Matrix master = Matrix::random(DType::f32, 1, n, 1), gradient = Matrix::random(DType::f32, 1, n, 2);
      Matrix m = Matrix::random(DType::f32, 1, n, 3), v = Matrix::random(DType::f32, 1, n, 4), weight(dtype, 1, n);
      for (int64_t i = 0; i < n; ++i) v.set(i, v.get(i) * v.get(i));
      std::vector<uint16_t> low(halves);
      split_masters(weight.t(), {low, floats(m), floats(v)}, floats(master));
      const DeviceMatrix device_gradient(gradient);
      AdamWStep step{.learning_rate = 1e-3f, .weight_decay = 0.1f, .gradient_scale = 0.7f, .step = 5};
      const std::vector<Matrix> got = in_every_order([&] {
        const DeviceMatrix dweight(weight), dm(m), dv(v);
        const DeviceBytes dlow(halves * sizeof(uint16_t) + 1);
        cuda::check_status(cudaMemcpy(dlow.get(), low.data(), halves * sizeof(uint16_t), cudaMemcpyHostToDevice), "copy");
        const Tensor device_low(dlow.get(), DType::bf16, {static_cast<int64_t>(halves)}, Device::cuda);
        for (int64_t i = 0; i < 3; ++i) {  // what one step leaves, the next one reads
          step.step = 5 + i;
          cuda::adamw(dweight.t(), device_low, dm.t(), dv.t(), device_gradient.t(), step, stream_);
        }
        synchronize();
        Matrix halves_back(DType::bf16, 1, static_cast<int64_t>(halves));
        cuda::check_status(cudaMemcpy(halves_back.t().data, dlow.get(), halves * sizeof(uint16_t), cudaMemcpyDeviceToHost), "copy");
        return std::vector<Matrix>{dweight.host(), dm.host(), dv.host(), halves_back};
      });
      for (int64_t i = 0; i < 3; ++i) {
        step.step = 5 + i;
        adamw(weight.t(), {low, floats(m), floats(v)}, floats(gradient), step, ex_);
      }
      EXPECT_TRUE(got[0] == weight && got[1] == m && got[2] == v) << dtype_name(dtype) << " " << n;
      EXPECT_TRUE(halves == 0 || std::memcmp(got[3].t().data, low.data(), halves * sizeof(uint16_t)) == 0) << n;
      const auto rounded_up = [&](float x) { return std::signbit(x); };
      EXPECT_TRUE(halves <= 1000 || (std::ranges::any_of(floats(v), rounded_up) && !std::ranges::all_of(floats(v), rounded_up)));
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
    for (const char* order : orders()) {
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
      for (const char* order : orders()) {
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
  const DeviceMatrix half(DType::bf16, 1, 4);
  EXPECT_THROW(cuda::adamw(a.t(), {}, b.t(), a.t(), a.t(), good, stream_), Error);
  EXPECT_THROW(cuda::adamw(a.t(), half.t(), a.t(), a.t(), a.t(), good, stream_), Error) << "float32 has no halves";
  EXPECT_THROW(cuda::adamw(half.t(), {}, a.t(), a.t(), a.t(), good, stream_), Error);
  EXPECT_THROW(cuda::adamw(a.t(), {}, a.t(), a.t(), a.t(), {.learning_rate = 1e-3f, .step = 0}, stream_), Error);
  EXPECT_THROW(cuda::adamw(a.t(), {}, a.t(), a.t(), a.t(), {.learning_rate = 1e-3f, .beta1 = 1.0f}, stream_), Error);
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
