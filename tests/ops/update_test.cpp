// The optimizer step against AdamW in double, and sums whose order is part of the contract.
#include "model/ops/update.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/rng.h"
#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

std::vector<float> random_floats(size_t n, uint64_t seed, float scale = 1.0f) {
  Random random(seed, Stream::kTest);
  std::vector<float> x(n);
  for (float& v : x) v = scale * random.normal();
  return x;
}

TEST(AdamW, FollowsTheFormulaInDoubleOverManySteps) {
  for (DType dtype : {DType::f32, DType::bf16}) {
    const size_t n = 1003;
    ExecOwner owner(2);
    std::vector<float> master = random_floats(n, 1), m(n), v(n);
    std::vector<double> wanted(master.begin(), master.end()), wm(n), wv(n);
    Matrix weight(dtype, 1, static_cast<int64_t>(n));
    AdamWStep step{.learning_rate = 1e-2f, .weight_decay = 0.1f, .gradient_scale = 0.7f};
    const double lr = step.learning_rate, b1 = step.beta1, b2 = step.beta2, eps = step.eps, decay = step.weight_decay;
    for (step.step = 1; step.step <= 20; ++step.step) {
      std::vector<float> gradient = random_floats(n, 100 + static_cast<uint64_t>(step.step));
      gradient[5] = 0.0f;  // m = v = 0: 0 / eps
      adamw(master, m, v, gradient, weight.t(), step, owner.exec());
      const double c1 = 1 - std::pow(b1, step.step), c2 = 1 - std::pow(b2, step.step);
      for (size_t i = 0; i < n; ++i) {
        const double g = static_cast<double>(step.gradient_scale) * gradient[i];
        wm[i] = b1 * wm[i] + (1 - b1) * g;
        wv[i] = b2 * wv[i] + (1 - b2) * g * g;
        wanted[i] -= lr * (decay * wanted[i] + wm[i] / c1 / (std::sqrt(wv[i] / c2) + eps));
        const double steps = static_cast<double>(step.step);
        ASSERT_NEAR(m[i], wm[i], steps * 2 * kEps32);
        ASSERT_NEAR(v[i], wv[i], steps * 2 * kEps32 * wv[i] + 1e-12);
        ASSERT_NEAR(master[i], wanted[i], steps * kEps32 * (1 + std::abs(wanted[i]))) << "element " << i;
        ASSERT_EQ(weight.get(static_cast<int64_t>(i)), dtype == DType::bf16 ? to_float(to_bf16(master[i])) : master[i]);
      }
    }
    EXPECT_NEAR(master[5], wanted[5], 1e-5);
  }
}

TEST(AdamW, FirstStepIsTheLearningRateInTheGradientsDirection) {
  // Closed form of torch.optim.AdamW at step 1 from zero moments: -lr g / (|g| + eps).
  ExecOwner owner(1);
  std::vector<float> master = {1.0f, 1.0f, 1.0f}, m(3), v(3);
  const std::vector<float> gradient = {0.5f, -2.0f, 1e-8f};
  Matrix weight(DType::f32, 1, 3);
  adamw(master, m, v, gradient, weight.t(), {.learning_rate = 0.1f, .eps = 1e-8f}, owner.exec());
  EXPECT_NEAR(master[0], 0.9f, 1e-6);
  EXPECT_NEAR(master[1], 1.1f, 1e-6);
  EXPECT_NEAR(master[2], 0.95f, 1e-6);  // eps weighs as much as the gradient
}

TEST(AdamW, CutsAndThreadsDoNotChangeBits) {
  const size_t n = 50001;
  const std::vector<float> start = random_floats(n, 1), gradient = random_floats(n, 2);
  const auto run = [&](int threads, const std::vector<size_t>& cuts) {
    ExecOwner owner(threads);
    std::vector<float> master = start, m = random_floats(n, 3), v(n, 0.01f);
    Matrix weight(DType::bf16, 1, static_cast<int64_t>(n));
    size_t at = 0;
    for (size_t end : cuts) {
      const size_t count = end - at;
      adamw({&master[at], count}, {&m[at], count}, {&v[at], count}, {&gradient[at], count},
            {weight.t().b16() + at, DType::bf16, {static_cast<int64_t>(count)}}, {.learning_rate = 1e-3f, .step = 3},
            owner.exec());
      at = end;
    }
    return std::tuple(master, m, v, weight.row_bytes(0));
  };
  const auto whole = run(1, {n});
  EXPECT_EQ(run(3, {n}), whole);
  EXPECT_EQ(run(2, {1, 7, 4099, 40000, n}), whole);
}

TEST(AdamW, RefusesWrongSizesAndSteps) {
  ExecOwner owner(1);
  std::vector<float> a(4), b(3);
  Matrix weight(DType::f32, 1, 4);
  const AdamWStep good{.learning_rate = 1e-3f};
  EXPECT_THROW(adamw(a, b, a, a, weight.t(), good, owner.exec()), Error);
  EXPECT_THROW(adamw(a, a, a, b, weight.t(), good, owner.exec()), Error);
  EXPECT_THROW(adamw(b, b, b, b, weight.t(), good, owner.exec()), Error);
  EXPECT_THROW(adamw(a, a, a, a, weight.t(), {.learning_rate = 1e-3f, .step = 0}, owner.exec()), Error);
  EXPECT_THROW(adamw(a, a, a, a, weight.t(), {.learning_rate = 1e-3f, .beta1 = 1.0f}, owner.exec()), Error);
}

TEST(AddInto, AddsElementwise) {
  ExecOwner owner(2);
  std::vector<float> sum = random_floats(200003, 1);
  const std::vector<float> before = sum, other = random_floats(200003, 2);
  add_into(sum, other, owner.exec());
  for (size_t i = 0; i < sum.size(); ++i) ASSERT_EQ(sum[i], before[i] + other[i]);
  EXPECT_THROW(add_into(sum, std::span(other).first(5), owner.exec()), Error);
}

TEST(SumOfSquares, IsExactToDoubleAndTheSameForAnyThreads) {
  for (size_t n : {0u, 1u, 15u, 4096u, 4097u, 12288u, 300007u, 1000000u}) {
    const std::vector<float> x = random_floats(n, n, 1e3f);
    long double wanted = 0;
    for (float v : x) wanted += static_cast<long double>(v) * v;
    std::vector<double> sums;
    for (int threads : {1, 2, 3}) {
      ExecOwner owner(threads);
      sums.push_back(sum_of_squares(x, owner.exec()));
    }
    EXPECT_EQ(sums[0], sums[1]);
    EXPECT_EQ(sums[0], sums[2]);
    EXPECT_NEAR(sums[0], static_cast<double>(wanted), 1e-14 * static_cast<double>(wanted)) << n;
  }
}

TEST(SumOfSquares, IsATreeOverChunksOfTheSpan) {
  // Chunks of 4096 from the span's start, neighbours in pairs, an odd last one as it is: ((a + b) + (c + d)) + e.
  ExecOwner owner(1);
  const std::vector<float> x = random_floats(5 * 4096, 9);
  double chunk[5];
  for (size_t c = 0; c < 5; ++c) chunk[c] = sum_of_squares(std::span(x).subspan(c * 4096, 4096), owner.exec());
  EXPECT_EQ(sum_of_squares(x, owner.exec()), ((chunk[0] + chunk[1]) + (chunk[2] + chunk[3])) + chunk[4]);
}

TEST(FindNonFinite, GivesTheFirstOne) {
  for (int threads : {1, 3}) {
    ExecOwner owner(threads);
    std::vector<float> x = random_floats(300000, 4);
    x[10] = std::numeric_limits<float>::max();
    EXPECT_EQ(find_non_finite(x, owner.exec()), -1);
    EXPECT_EQ(find_non_finite({}, owner.exec()), -1);
    x[299999] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(find_non_finite(x, owner.exec()), 299999);
    x[200000] = -std::numeric_limits<float>::infinity();
    x[70000] = std::numeric_limits<float>::infinity();
    EXPECT_EQ(find_non_finite(x, owner.exec()), 70000);
    x[0] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(find_non_finite(x, owner.exec()), 0);
  }
}

}  // namespace
}  // namespace cohort
