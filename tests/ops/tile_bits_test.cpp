// Products in tile registers, bit by bit: what the processor's manual says of TDPBF16PS, in plain loops. Where the kernels
// emulate the registers the same test holds the emulation to it.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "model/ops/instruction_sets.h"
#include "model/ops/matmul.h"
#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

// Denormals are taken and given as zeros.
float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

// sum += the products of numbers [begin, end) of a and b, which are 16 pairs at most.
template <typename A, typename B>
void add_step(float& sum, int64_t begin, int64_t end, A a, B b) {
  float chains[2] = {0, 0};
  for (int64_t i = begin; i < end; ++i)
    chains[i % 2] = flushed(std::fma(flushed(a(i)), flushed(b(i)), chains[i % 2]));
  sum = flushed(sum + flushed(chains[0] + chains[1]));
}

template <typename A, typename B>
float dot(int64_t depth, A a, B b) {
  float sum = 0;
  for (int64_t i = 0; i < depth; i += 32) add_step(sum, i, std::min<int64_t>(i + 32, depth), a, b);
  return sum;
}

// Numbers of all sizes, so that sums round at every step, some of them denormal.
Matrix wide_range(std::mt19937& random, int64_t rows, int64_t cols) {
  Matrix m(DType::bf16, rows, cols);
  for (int64_t i = 0; i < rows * cols; ++i) {
    const int exponent = random() % 50 == 0 ? -130 : static_cast<int>(random() % 40) - 20;
    m.set(i, static_cast<float>(std::ldexp(1 + (random() % 128) / 128.0, exponent)) * (random() % 2 ? 1.0f : -1.0f));
  }
  return m;
}

TEST(TileBits, ProductsAreThoseOfTheManual) {
  if (!kKernelInstructionSets.amx_bf16 && !kKernelInstructionSets.emulated_amx_bf16)
    GTEST_SKIP() << "these kernels use no tile registers";
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const struct {
    int64_t t, n, k;
  } shapes[] = {{1, 48, 64}, {3, 17, 33}, {16, 16, 32}, {17, 50, 31}, {33, 97, 129}, {65, 144, 96}, {40, 5, 1}};
  for (const auto& [t, n, k] : shapes) {
    SCOPED_TRACE(testing::Message() << t << " x " << k << " by " << n);
    const Matrix x = wide_range(random, t, k), w = wide_range(random, n, k);
    PackedWeight packed;
    pack_weight(packed, w.t(), ex);
    Matrix y(DType::f32, t, n);
    matmul(y.t(), x.t(), packed, ex);
    for (int64_t i = 0; i < t; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const float expected = dot(k, [&](int64_t d) { return x.at(i, d); }, [&](int64_t d) { return w.at(j, d); });
        ASSERT_EQ(std::bit_cast<uint32_t>(y.at(i, j)), std::bit_cast<uint32_t>(expected)) << "at (" << i << ", " << j << ")";
      }
    // The gradient of the weight: a contraction over rows.
    const Matrix dy = wide_range(random, t, n);
    Matrix dw(DType::f32, n, k);
    matmul_backward_weight(dw.t(), dy.t(), x.t(), ex);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < k; ++j) {
        const float expected = dot(t, [&](int64_t r) { return dy.at(r, i); }, [&](int64_t r) { return x.at(r, j); });
        ASSERT_EQ(std::bit_cast<uint32_t>(dw.at(i, j)), std::bit_cast<uint32_t>(expected)) << "dw at (" << i << ", " << j << ")";
      }
  }
}

}  // namespace
}  // namespace cohort
