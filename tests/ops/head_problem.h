// What the tests of the head share: problems, the ops called on them, and softmax in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "model/ops/head.h"
#include "tests/ops/random_matrix.h"

namespace cohort {

inline constexpr uint64_t kSeed = 20240612;
inline constexpr DType kActs[] = {DType::f32, DType::bf16};

// Hidden states, a weight and targets; logits of standard deviation near `spread`.
struct Problem {
  Problem(DType act, int64_t n, int64_t vocab, int64_t hidden, float spread = 3.0f, float softcap = 0)
      : softcap(softcap),
        h(Matrix::random(act, n, hidden, kSeed)),
        w(Matrix::random(act, vocab, hidden, kSeed + 1, spread / std::sqrt(static_cast<float>(hidden)))) {
    Random random(kSeed + 2, Stream::kTest);
    for (int64_t i = 0; i < n; ++i) targets.push_back(static_cast<int32_t>(random.below(static_cast<uint32_t>(vocab))));
    if (n > 1) targets[0] = 0, targets[1] = static_cast<int32_t>(vocab) - 1;
  }
  int64_t n() const { return h.rows; }
  int64_t vocab() const { return w.rows; }
  int64_t hidden() const { return h.cols; }
  float softcap;
  Matrix h, w;
  std::vector<int32_t> targets;
};

struct LogProbs {
  std::vector<float> logprob, entropy;
  bool operator==(const LogProbs&) const = default;
};

inline PackedWeight packed(const Matrix& w, const Exec& ex) {
  PackedWeight p;
  pack_weight(p, w.t(), ex);
  return p;
}

inline LogProbs logprobs(const Problem& p, float temperature, const Exec& ex) {
  LogProbs r{std::vector<float>(p.targets.size()), std::vector<float>(p.targets.size())};
  head_logprobs(r.logprob, r.entropy, p.h.t(), packed(p.w, ex), p.targets, temperature, ex, p.softcap);
  return r;
}

struct Loss {
  Matrix dh, dw;
  LogProbs seen;
};

// head_loss with dL/dlogprob[i] = weights[i].
inline Loss loss(const Problem& p, float temperature, const std::vector<float>& weights, const Exec& ex,
                 std::span<const RowPart> parts = {}, const KeptRows& kept = {}, std::span<float> spare = {}, bool frozen = false) {
  Loss r{Matrix(DType::f32, p.n(), p.hidden()), Matrix(DType::f32, p.vocab(), p.hidden()), {}};
  r.dh.fill(std::numeric_limits<float>::quiet_NaN());  // overwritten, whatever was there
  r.dw.fill(std::numeric_limits<float>::quiet_NaN());
  head_loss(
      r.dh.t(), frozen ? Tensor() : r.dw.t(), p.h.t(), packed(p.w, ex), p.targets, temperature,
      [&](int64_t i, float logprob, float entropy) {
        r.seen.logprob.push_back(logprob);
        r.seen.entropy.push_back(entropy);
        return weights[static_cast<size_t>(i)];
      },
      ex, p.softcap, parts, kept, spare);
  return r;
}

// `gradient` is that of loss() by each element of `input`, which loss() reads.
inline void expect_central_differences(Matrix& input, const Matrix& gradient, double step, const std::function<double()>& loss) {
  for (int64_t i = 0; i < input.rows * input.cols; ++i) {
    const float value = input.get(i);
    const float high = value + static_cast<float>(step), low = value - static_cast<float>(step);
    input.set(i, high);
    const double up = loss();
    input.set(i, low);
    const double down = loss();
    input.set(i, value);
    // central differences err by step^2 times a third derivative of a few units
    ASSERT_NEAR(gradient.get(i), (up - down) / (static_cast<double>(high) - low), 2e-5) << "element " << i;
  }
}

inline std::vector<float> random_weights(int64_t n) {
  std::vector<float> weights;
  Random random(kSeed + 3, Stream::kTest);
  for (int64_t i = 0; i < n; ++i) weights.push_back(random.normal());
  return weights;
}

// One row in double: capped and scaled logits, the cap's slope at each, log-sum-exp, entropy.
struct SlowRow {
  std::vector<double> x, slope;
  double lse, entropy;
  double p(int64_t v) const { return std::exp(x[static_cast<size_t>(v)] - lse); }
};
inline SlowRow slow_row(const Problem& p, int64_t row, double temperature) {
  SlowRow r;
  for (int64_t v = 0; v < p.vocab(); ++v) {
    double sum = 0;
    for (int64_t c = 0; c < p.hidden(); ++c) sum += static_cast<double>(p.h.at(row, c)) * p.w.at(v, c);
    const double t = p.softcap > 0 ? std::tanh(sum / p.softcap) : 0;
    r.x.push_back((p.softcap > 0 ? p.softcap * t : sum) / temperature);
    r.slope.push_back(1 - t * t);
  }
  const double most = *std::max_element(r.x.begin(), r.x.end());
  double sum = 0;
  for (double x : r.x) sum += std::exp(x - most);
  r.lse = most + std::log(sum);
  r.entropy = r.lse;
  for (double x : r.x) r.entropy -= std::exp(x - r.lse) * x;
  return r;
}
inline double slow_logprob(const Problem& p, int64_t row, double temperature) {
  const SlowRow r = slow_row(p, row, temperature);
  return r.x[static_cast<size_t>(p.targets[static_cast<size_t>(row)])] - r.lse;
}

// What f32 arithmetic may do to a logit: a sum over C of products no larger than |h| |w|, then one scaling.
inline double logit_error(const Problem& p, double temperature) {
  double h = 0, w = 0;
  for (int64_t i = 0; i < p.h.rows * p.h.cols; ++i) h = std::max(h, std::abs(static_cast<double>(p.h.get(i))));
  for (int64_t i = 0; i < p.w.rows * p.w.cols; ++i) w = std::max(w, std::abs(static_cast<double>(p.w.get(i))));
  // rounding errors are independent: the root of C of them, six deviations out
  return 6 * std::sqrt(static_cast<double>(p.hidden())) * h * w * kEps32 / temperature;
}

}  // namespace cohort
