// The gradient by the entropy of the head's distribution: against softmax in double and finite differences.
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "tests/ops/head_problem.h"

namespace cohort {
namespace {

struct Gradient {
  Matrix dh, dw;
};
// head_loss of sum over rows of a[i] logprob[i] + b[i] entropy[i].
Gradient gradient_of(const Problem& p, float temperature, const std::vector<float>& a, const std::vector<float>& b, const Exec& ex) {
  Gradient r{Matrix(DType::f32, p.n(), p.hidden()), Matrix(DType::f32, p.vocab(), p.hidden())};
  head_loss(
      r.dh.t(), r.dw.t(), p.h.t(), packed(p.w, ex), p.targets, temperature,
      [&](int64_t i, float, float) { return RowGradient(a[static_cast<size_t>(i)], b[static_cast<size_t>(i)]); }, ex, p.softcap);
  return r;
}

std::vector<float> other_weights(int64_t n) {
  std::vector<float> weights = random_weights(2 * n);
  return {weights.begin() + n, weights.end()};
}

// D[i, v] = (a[i] (1[v = target] - p) - b[i] p (log p + entropy)) / temperature times the cap's slope: all in double.
TEST(HeadEntropy, GradientsEqualSoftmaxInDouble) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (const auto& [n, vocab, softcap, only] : {std::tuple<int64_t, int64_t, float, bool>{1, 50, 0.0f, false},
                                                  {33, 385, 0.0f, false},
                                                  {33, 385, 0.0f, true},
                                                  {530, 130, 0.0f, false},
                                                  {33, 385, 4.0f, false}}) {
      SCOPED_TRACE(std::string(dtype_name(act)) + " n " + std::to_string(n) + " V " + std::to_string(vocab) + " softcap " + std::to_string(softcap));
      const double temperature = 0.75;
      const Problem p(act, n, vocab, 29, 3.0f, softcap);
      const std::vector<float> a = only ? std::vector<float>(static_cast<size_t>(n)) : random_weights(n), b = other_weights(n);
      const Gradient r = gradient_of(p, static_cast<float>(temperature), a, b, ex);
      std::vector<std::vector<double>> d, size;
      for (int64_t i = 0; i < n; ++i) {
        const SlowRow slow = slow_row(p, i, temperature);
        const auto row = static_cast<size_t>(i);
        d.emplace_back(), size.emplace_back();
        for (int64_t v = 0; v < vocab; ++v) {
          const double by_logprob = a[row] * ((v == p.targets[row]) - slow.p(v)), log_p = slow.x[static_cast<size_t>(v)] - slow.lse;
          const double factor = slow.slope[static_cast<size_t>(v)] / temperature;
          d.back().push_back((by_logprob - b[row] * slow.p(v) * (log_p + slow.entropy)) * factor);
          size.back().push_back((std::abs(by_logprob) + std::abs(b[row]) * slow.p(v) * (std::abs(log_p) + slow.entropy + 1)) * factor);
        }
      }
      const double relative = 8 * logit_error(p, temperature) + (act == DType::bf16 ? kEps16 / 2 : 0) + 128 * kEps32;
      for (int64_t c = 0; c < p.hidden(); ++c) {
        for (int64_t i = 0; i < n; ++i) {
          double sum = 0, magnitude = 0;
          for (size_t v = 0; v < d[0].size(); ++v) {
            const double w = p.w.at(static_cast<int64_t>(v), c);
            sum += d[static_cast<size_t>(i)][v] * w, magnitude += size[static_cast<size_t>(i)][v] * std::abs(w);
          }
          ASSERT_NEAR(r.dh.at(i, c), sum, relative * magnitude + 1e-9) << "dh (" << i << ", " << c << ")";
        }
        for (int64_t v = 0; v < vocab; ++v) {
          double sum = 0, magnitude = 0;
          for (int64_t i = 0; i < n; ++i) {
            const double h = p.h.at(i, c);
            sum += d[static_cast<size_t>(i)][static_cast<size_t>(v)] * h;
            magnitude += size[static_cast<size_t>(i)][static_cast<size_t>(v)] * std::abs(h);
          }
          ASSERT_NEAR(r.dw.at(v, c), sum, relative * magnitude + kEps32 * std::abs(sum) + 1e-9) << "dw (" << v << ", " << c << ")";
        }
      }
    }
  }
}

TEST(HeadEntropy, GradientsPassAFiniteDifferenceCheck) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const double temperature = 1.3, step = 0x1p-10;
  for (float softcap : {0.0f, 2.0f}) {
    Problem p(DType::f32, 3, 23, 7, 2.0f, softcap);
    const std::vector<float> none(3), b = other_weights(p.n());
    const Gradient r = gradient_of(p, static_cast<float>(temperature), none, b, ex);
    const auto slow_loss = [&] {
      double sum = 0;
      for (int64_t i = 0; i < p.n(); ++i) sum += b[static_cast<size_t>(i)] * slow_row(p, i, temperature).entropy;
      return sum;
    };
    expect_central_differences(p.h, r.dh, step, slow_loss);
    expect_central_differences(p.w, r.dw, step, slow_loss);
  }
}

TEST(HeadEntropy, ATokenThatIsAlmostCertainHasFiniteGradients) {
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    const Problem p(act, 4, 100, 16, 400.0f);  // logits hundreds apart: most probabilities are 0
    const Gradient r = gradient_of(p, 0.5f, {1, -1, 0, 2}, {1, 1, 1, -1}, ex);
    for (int64_t i = 0; i < p.n() * p.hidden(); ++i) ASSERT_TRUE(std::isfinite(r.dh.get(i)));
    for (int64_t i = 0; i < p.vocab() * p.hidden(); ++i) ASSERT_TRUE(std::isfinite(r.dw.get(i)));
  }
}

}  // namespace
}  // namespace cohort
