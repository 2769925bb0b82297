// The gradient of the head: against softmax in double and finite differences, and when it is asked for.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <thread>
#include <tuple>

#include "tests/core/expect_error.h"
#include "tests/ops/head_problem.h"

namespace cohort {
namespace {

// dL/dh = D w and dL/dw = D^T h with D[i, v] = weight[i] / temperature (1[v = target] - p) times the cap's slope: all
// in double.
TEST(Head, GradientsEqualSoftmaxInDouble) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (const auto& [n, vocab, softcap] : {std::tuple<int64_t, int64_t, float>{1, 50, 0.0f},
                                            {33, 385, 0.0f},
                                            {6, 3400, 0.0f},
                                            {1100, 130, 0.0f},
                                            {33, 385, 4.0f},
                                            {6, 3400, 30.0f}}) {
      SCOPED_TRACE(std::string(dtype_name(act)) + " n " + std::to_string(n) + " V " + std::to_string(vocab) +
                   " softcap " + std::to_string(softcap));
      const double temperature = 0.75;
      const Problem p(act, n, vocab, 29, 3.0f, softcap);
      const std::vector<float> weights = random_weights(n);
      const Loss r = loss(p, static_cast<float>(temperature), weights, ex);
      std::vector<std::vector<double>> d;
      for (int64_t i = 0; i < n; ++i) {
        const SlowRow slow = slow_row(p, i, temperature);
        d.emplace_back();
        for (int64_t v = 0; v < vocab; ++v)
          d.back().push_back(weights[static_cast<size_t>(i)] / temperature *
                             ((v == p.targets[static_cast<size_t>(i)]) - slow.p(v)) *
                             slow.slope[static_cast<size_t>(v)]);
      }
      // an element of D is off by what the logits are off, and rounded to the activation dtype
      const double relative = 4 * logit_error(p, temperature) + (act == DType::bf16 ? kEps16 / 2 : 0) + 64 * kEps32;
      for (int64_t c = 0; c < p.hidden(); ++c) {
        for (int64_t i = 0; i < n; ++i) {
          double sum = 0, magnitude = 0;
          for (int64_t v = 0; v < vocab; ++v) {
            const double term = d[static_cast<size_t>(i)][static_cast<size_t>(v)] * p.w.at(v, c);
            sum += term, magnitude += std::abs(term);
          }
          ASSERT_NEAR(r.dh.at(i, c), sum, relative * magnitude + 1e-9) << "dh (" << i << ", " << c << ")";
        }
        for (int64_t v = 0; v < vocab; ++v) {
          double sum = 0, magnitude = 0;
          for (int64_t i = 0; i < n; ++i) {
            const double term = d[static_cast<size_t>(i)][static_cast<size_t>(v)] * p.h.at(i, c);
            sum += term, magnitude += std::abs(term);
          }
          ASSERT_NEAR(r.dw.at(v, c), sum, relative * magnitude + kEps32 * std::abs(sum) + 1e-9)
              << "dw (" << v << ", " << c << ")";
        }
      }
    }
  }
}

// A frozen weight has no gradient, and no bit of the rest knows of it.
TEST(Head, AFrozenWeightChangesNoOtherBit) {
  ExecOwner owner(2);
  for (const DType act : kActs) {
    for (const auto& [n, vocab] : {std::pair<int64_t, int64_t>{1, 50}, {33, 3400}, {1100, 130}}) {
      const Problem p(act, n, vocab, 29);
      const std::vector<float> weights = random_weights(n);
      const RowPart parts[] = {{0, n / 3, 0}, {n / 3, n - n / 3, 1}};
      const Loss whole = loss(p, 0.75f, weights, owner.exec(), parts), frozen = loss(p, 0.75f, weights, owner.exec(), parts, {}, {}, true);
      EXPECT_TRUE(frozen.dh == whole.dh) << n;
      EXPECT_EQ(frozen.seen, whole.seen);
      EXPECT_TRUE(std::isnan(frozen.dw.get(0)));
    }
  }
  const Problem p(DType::f32, 3, 50, 29);
  const std::vector<int32_t> row = {1};
  std::vector<float> sums(29);
  EXPECT_ERROR(loss(p, 1, random_weights(3), owner.exec(), {}, {row, {sums.data(), DType::f32, {1, 29}}}, {}, true), kInternal, "dw is");
}

TEST(Head, GradientsPassAFiniteDifferenceCheck) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const double temperature = 1.3, step = 0x1p-10;
  for (float softcap : {0.0f, 2.0f}) {
    Problem p(DType::f32, 3, 23, 7, 2.0f, softcap);
    const std::vector<float> weights = random_weights(p.n());
    const Loss r = loss(p, static_cast<float>(temperature), weights, ex);
    const auto slow_loss = [&] {
      double sum = 0;
      for (int64_t i = 0; i < p.n(); ++i) sum += weights[static_cast<size_t>(i)] * slow_logprob(p, i, temperature);
      return sum;
    };
    expect_central_differences(p.h, r.dh, step, slow_loss);
    expect_central_differences(p.w, r.dw, step, slow_loss);
  }
}

TEST(Head, GradientIsAskedForEachRowInOrderFromOneThread) {
  ExecOwner owner(3);
  const Exec ex = owner.exec();
  const Problem p(DType::bf16, 600, 400, 16);
  Matrix dh(DType::f32, p.n(), p.hidden()), dw(DType::f32, p.vocab(), p.hidden());
  dw.fill(0);
  std::vector<int64_t> asked, expected(600);
  std::iota(expected.begin(), expected.end(), 0);
  const std::thread::id caller = std::this_thread::get_id();
  head_loss(
      dh.t(), dw.t(), p.h.t(), packed(p.w, ex), p.targets, 1.0f,
      [&](int64_t i, float, float) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        asked.push_back(i);
        return 1.0f;
      },
      ex);
  EXPECT_EQ(asked, expected);
}

// Two parts that wait for each other are one batch, of more logits than are kept without spare memory.
TEST(Head, LogitsThatAreComputedTwiceAreTheSameBits) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    const Problem p(act, 700, 13000, 16, 3.0f, act == DType::f32 ? 5.0f : 0.0f);
    const std::vector<RowPart> parts = {{0, 300, 0}, {300, 400, 1}};
    const std::vector<float> weights = random_weights(p.n());
    std::vector<float> all(static_cast<size_t>(p.n() * (p.vocab() + 384))), some(all.size() - all.size() / 20);
    const Loss kept = loss(p, 0.8f, weights, ex, parts, {}, all);
    for (const std::span<float> spare : {std::span<float>(), std::span<float>(some)}) {
      const Loss twice = loss(p, 0.8f, weights, ex, parts, {}, spare);
      EXPECT_TRUE(twice.dw == kept.dw) << dtype_name(act) << " " << spare.size();
      EXPECT_TRUE(twice.dh == kept.dh) << dtype_name(act) << " " << spare.size();
      EXPECT_TRUE(twice.seen == kept.seen);
    }
  }
}

TEST(Head, RowsWithoutGradientAddNothing) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    const Problem p(act, 300, 700, 24);
    const Loss none = loss(p, 1.0f, std::vector<float>(300, 0.0f), ex);
    for (int64_t i = 0; i < p.vocab() * p.hidden(); ++i) ASSERT_EQ(none.dw.get(i), 0.0f);
    for (int64_t i = 0; i < p.n() * p.hidden(); ++i) ASSERT_EQ(none.dh.get(i), 0.0f);

    // Only row 7 has a gradient: its own is what it would be among others, and dw is as if it were the only one.
    std::vector<float> weights = random_weights(300), one(300, 0.0f);
    one[7] = weights[7];
    const Loss only = loss(p, 1.0f, one, ex), all = loss(p, 1.0f, weights, ex);
    Problem alone = p;
    alone.h = p.h.take({7});
    alone.targets = {p.targets[7]};
    EXPECT_TRUE(only.dw == loss(alone, 1.0f, {weights[7]}, ex).dw);
    EXPECT_TRUE(only.dh.take({7}) == all.dh.take({7}));
    for (int64_t c = 0; c < p.hidden(); ++c) ASSERT_EQ(only.dh.at(8, c), 0.0f);
  }
}

}  // namespace
}  // namespace cohort
