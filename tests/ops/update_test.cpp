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

// Weights of one dtype with the optimizer's state, and their masters.
struct Weights {
  Weights(DType dtype, const std::vector<float>& masters)
      : weight(dtype, 1, static_cast<int64_t>(masters.size())), low(dtype == DType::bf16 ? masters.size() : 0),
        m(masters.size()), v(masters.size()) {
    split_masters(weight.t(), state(), masters);
  }
  AdamWState state() { return {low, m, v}; }
  std::vector<float> masters() {
    std::vector<float> out(m.size());
    join_masters(out, weight.t(), state());
    return out;
  }
  Matrix weight;
  std::vector<uint16_t> low;
  std::vector<float> m, v;
};

TEST(Masters, AreWholeAgainForEveryPattern) {
  // Every upper half with lower halves on both sides of the tie, at it and at the ends, beside moments of all kinds.
  std::vector<float> masters, moments;
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    if ((upper & 0x7F80) == 0x7F80 && (upper & 0x7F) != 0) continue;  // NaN
    for (const uint32_t low : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      if ((upper & 0x7F80) == 0x7F80 && low != 0) continue;
      masters.push_back(std::bit_cast<float>(upper << 16 | low));
      moments.push_back(upper % 3 == 0 ? 0.0f : upper % 3 == 1 ? 1e-42f : 2.5f);
    }
  }
  Weights w(DType::bf16, std::vector<float>(masters.size()));
  w.v = moments;
  split_masters(w.weight.t(), w.state(), masters);
  const std::vector<float> found = w.masters();
  EXPECT_EQ(std::memcmp(found.data(), masters.data(), masters.size() * 4), 0);
  for (size_t i = 0; i < masters.size(); ++i) {
    ASSERT_EQ(w.weight.t().b16()[i].bits, to_bf16(masters[i]).bits) << i;
    ASSERT_EQ(std::abs(w.v[i]), moments[i]) << i;
  }
}

TEST(AdamW, FollowsTheFormulaInDoubleOverManySteps) {
  for (DType dtype : {DType::f32, DType::bf16}) {
    const size_t n = 1003;
    ExecOwner owner(2);
    const std::vector<float> start = random_floats(n, 1);
    Weights w(dtype, start);
    std::vector<double> wanted(start.begin(), start.end()), wm(n), wv(n);
    AdamWStep step{.learning_rate = 1e-2f, .weight_decay = 0.1f, .gradient_scale = 0.7f};
    const double lr = step.learning_rate, b1 = step.beta1, b2 = step.beta2, eps = step.eps, decay = step.weight_decay;
    std::vector<float> master;
    for (step.step = 1; step.step <= 20; ++step.step) {
      std::vector<float> gradient = random_floats(n, 100 + static_cast<uint64_t>(step.step));
      gradient[5] = 0.0f;  // m = v = 0: 0 / eps
      adamw(w.weight.t(), w.state(), gradient, step, owner.exec());
      master = w.masters();
      const double c1 = 1 - std::pow(b1, step.step), c2 = 1 - std::pow(b2, step.step);
      for (size_t i = 0; i < n; ++i) {
        const double g = static_cast<double>(step.gradient_scale) * gradient[i];
        wm[i] = b1 * wm[i] + (1 - b1) * g;
        wv[i] = b2 * wv[i] + (1 - b2) * g * g;
        wanted[i] -= lr * (decay * wanted[i] + wm[i] / c1 / (std::sqrt(wv[i] / c2) + eps));
        const double steps = static_cast<double>(step.step);
        ASSERT_NEAR(w.m[i], wm[i], steps * 2 * kEps32);
        ASSERT_NEAR(std::abs(w.v[i]), wv[i], steps * 2 * kEps32 * wv[i] + 1e-12);
        ASSERT_NEAR(master[i], wanted[i], steps * kEps32 * (1 + std::abs(wanted[i]))) << "element " << i;
        ASSERT_EQ(w.weight.get(static_cast<int64_t>(i)), dtype == DType::bf16 ? to_float(to_bf16(master[i])) : master[i]);
      }
    }
    EXPECT_NEAR(master[5], wanted[5], 1e-5);
  }
}

TEST(AdamW, FirstStepIsTheLearningRateInTheGradientsDirection) {
  // Closed form of torch.optim.AdamW at step 1 from zero moments: -lr g / (|g| + eps).
  ExecOwner owner(1);
  Weights w(DType::bf16, {1.0f, 1.0f, 1.0f});
  const std::vector<float> gradient = {0.5f, -2.0f, 1e-8f};
  adamw(w.weight.t(), w.state(), gradient, {.learning_rate = 0.1f, .eps = 1e-8f}, owner.exec());
  EXPECT_NEAR(w.masters()[0], 0.9f, 1e-6);
  EXPECT_NEAR(w.masters()[1], 1.1f, 1e-6);
  EXPECT_NEAR(w.masters()[2], 0.95f, 1e-6);  // eps weighs as much as the gradient
}

TEST(AdamW, CutsThreadsAndPackingDoNotChangeBits) {
  const int64_t rows = 331, cols = 151;  // of the packed weight
  const size_t n = rows * cols;
  const std::vector<float> start = random_floats(n, 1), gradient = random_floats(n, 2);
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const auto run = [&](int threads, const std::vector<size_t>& cuts, bool packed) {
      ExecOwner owner(threads);
      Weights w(dtype, start);
      w.m = random_floats(n, 3);
      for (float& v : w.v) v = std::copysign(0.01f, v);
      PackedWeight panels;
      const Tensor flat(w.weight.t().data, dtype, {rows, cols});
      if (packed) pack_weight(panels, flat, owner.exec());
      size_t at = 0;
      for (size_t end : cuts) {
        const size_t count = end - at;
        const AdamWStep step{.learning_rate = 1e-3f, .step = 3};
        AdamWState state{{}, {&w.m[at], count}, {&w.v[at], count}};
        if (dtype == DType::bf16) state.low = {&w.low[at], count};
        const std::span<const float> part(&gradient[at], count);
        if (packed) {
          adamw(panels, static_cast<int64_t>(at), state, part, step, owner.exec());
        } else {
          const Tensor some(static_cast<char*>(flat.data) + at * dtype_size(dtype), dtype, {static_cast<int64_t>(count)});
          adamw(some, state, part, step, owner.exec());
        }
        at = end;
      }
      if (packed) unpack_span(flat, panels, 0);
      return std::tuple(w.masters(), w.m, w.v, w.weight.row_bytes(0));
    };
    const auto whole = run(1, {n}, false);
    EXPECT_NE(std::get<0>(whole), start);
    EXPECT_EQ(run(3, {n}, false), whole);
    EXPECT_EQ(run(2, {1, 7, 4099, 40000, n}, false), whole);
    EXPECT_EQ(run(1, {n}, true), whole);
    EXPECT_EQ(run(3, {1, 7, 4099, 40000, n}, true), whole);
  }
}

TEST(AdamW, RefusesWrongSizesAndSteps) {
  ExecOwner owner(1);
  std::vector<float> a(4), b(3);
  std::vector<uint16_t> low(4);
  Matrix weight(DType::f32, 1, 4), brain(DType::bf16, 1, 4);
  PackedWeight packed;
  pack_weight(packed, weight.t(), owner.exec());
  const AdamWStep good{.learning_rate = 1e-3f};
  const AdamWState state{{}, a, a};
  EXPECT_THROW(adamw(weight.t(), {{}, b, a}, a, good, owner.exec()), Error);
  EXPECT_THROW(adamw(weight.t(), {{}, a, b}, a, good, owner.exec()), Error);
  EXPECT_THROW(adamw(weight.t(), state, b, good, owner.exec()), Error);
  EXPECT_THROW(adamw(weight.t(), {low, a, a}, a, good, owner.exec()), Error) << "a float32 weight is its own master";
  EXPECT_THROW(adamw(brain.t(), state, a, good, owner.exec()), Error);
  EXPECT_THROW(adamw(packed, 1, state, a, good, owner.exec()), Error);
  EXPECT_THROW(adamw(packed, 0, {{}, a, b}, a, good, owner.exec()), Error);
  EXPECT_THROW(adamw(weight.t(), state, a, {.learning_rate = 1e-3f, .step = 0}, owner.exec()), Error);
  EXPECT_THROW(adamw(packed, 0, state, a, {.learning_rate = 1e-3f, .beta1 = 1.0f}, owner.exec()), Error);
  EXPECT_THROW(split_masters(brain.t(), {low, a, a}, b), Error);
  EXPECT_THROW(join_masters(b, brain.t(), {low, a, a}), Error);
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
