// The language-model head: against softmax in double, and the promise that all its paths give one log-prob.
#include "model/ops/head.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

constexpr uint64_t kSeed = 20240612;
const DType kActs[] = {DType::f32, DType::bf16};

// Hidden states, a weight and targets; logits of standard deviation near `spread`.
struct Problem {
  Problem(DType act, int64_t n, int64_t vocab, int64_t hidden, float spread = 3.0f)
      : h(Matrix::random(act, n, hidden, kSeed)),
        w(Matrix::random(act, vocab, hidden, kSeed + 1, spread / std::sqrt(static_cast<float>(hidden)))) {
    Random random(kSeed + 2, Stream::kTest);
    for (int64_t i = 0; i < n; ++i) targets.push_back(static_cast<int32_t>(random.below(static_cast<uint32_t>(vocab))));
    if (n > 1) targets[0] = 0, targets[1] = static_cast<int32_t>(vocab) - 1;
  }
  int64_t n() const { return h.rows; }
  int64_t vocab() const { return w.rows; }
  int64_t hidden() const { return h.cols; }
  Matrix h, w;
  std::vector<int32_t> targets;
};

struct LogProbs {
  std::vector<float> logprob, entropy;
  bool operator==(const LogProbs&) const = default;
};

PackedWeight packed(const Matrix& w, const Exec& ex) {
  PackedWeight p;
  pack_weight(p, w.t(), ex);
  return p;
}

LogProbs logprobs(const Problem& p, float temperature, const Exec& ex) {
  LogProbs r{std::vector<float>(p.targets.size()), std::vector<float>(p.targets.size())};
  head_logprobs(r.logprob, r.entropy, p.h.t(), packed(p.w, ex), p.targets, temperature, ex);
  return r;
}

struct Loss {
  Matrix dh, dw;
  LogProbs seen;
};

// head_loss with dL/dlogprob[i] = weights[i], dw added to `before` (zero when null).
Loss loss(const Problem& p, float temperature, const std::vector<float>& weights, const Exec& ex,
          const Matrix* before = nullptr) {
  Loss r{Matrix(DType::f32, p.n(), p.hidden()), before ? *before : Matrix(DType::f32, p.vocab(), p.hidden()), {}};
  r.dh.fill(std::numeric_limits<float>::quiet_NaN());  // overwritten, whatever was there
  if (!before) r.dw.fill(0);
  head_loss(
      r.dh.t(), r.dw.t(), p.h.t(), packed(p.w, ex), p.w.t(), p.targets, temperature,
      [&](int64_t i, float logprob, float entropy) {
        r.seen.logprob.push_back(logprob);
        r.seen.entropy.push_back(entropy);
        return weights[static_cast<size_t>(i)];
      },
      ex);
  return r;
}

std::vector<float> random_weights(int64_t n) {
  std::vector<float> weights;
  Random random(kSeed + 3, Stream::kTest);
  for (int64_t i = 0; i < n; ++i) weights.push_back(random.normal());
  return weights;
}

// One row in double: scaled logits, log-sum-exp, entropy.
struct SlowRow {
  std::vector<double> x;
  double lse, entropy;
  double p(int64_t v) const { return std::exp(x[static_cast<size_t>(v)] - lse); }
};
SlowRow slow_row(const Problem& p, int64_t row, double temperature) {
  SlowRow r;
  for (int64_t v = 0; v < p.vocab(); ++v) {
    double sum = 0;
    for (int64_t c = 0; c < p.hidden(); ++c) sum += static_cast<double>(p.h.at(row, c)) * p.w.at(v, c);
    r.x.push_back(sum / temperature);
  }
  const double most = *std::max_element(r.x.begin(), r.x.end());
  double sum = 0;
  for (double x : r.x) sum += std::exp(x - most);
  r.lse = most + std::log(sum);
  r.entropy = r.lse;
  for (double x : r.x) r.entropy -= std::exp(x - r.lse) * x;
  return r;
}
double slow_logprob(const Problem& p, int64_t row, double temperature) {
  const SlowRow r = slow_row(p, row, temperature);
  return r.x[static_cast<size_t>(p.targets[static_cast<size_t>(row)])] - r.lse;
}

// What f32 arithmetic may do to a logit: a sum over C of products no larger than |h| |w|, then one scaling.
double logit_error(const Problem& p, double temperature) {
  double h = 0, w = 0;
  for (int64_t i = 0; i < p.h.rows * p.h.cols; ++i) h = std::max(h, std::abs(static_cast<double>(p.h.get(i))));
  for (int64_t i = 0; i < p.w.rows * p.w.cols; ++i) w = std::max(w, std::abs(static_cast<double>(p.w.get(i))));
  // rounding errors are independent: the root of C of them, six deviations out
  return 6 * std::sqrt(static_cast<double>(p.hidden())) * h * w * kEps32 / temperature;
}

TEST(Head, LogProbsAndEntropyEqualSoftmaxInDouble) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (int64_t vocab : {1, 2, 16, 383, 384, 385, 1000, 3500}) {
      for (float temperature : {0.7f, 1.0f, 1.5f}) {
        SCOPED_TRACE(std::string(dtype_name(act)) + " V " + std::to_string(vocab) + " temperature " +
                     std::to_string(temperature) + " seed " + std::to_string(kSeed));
        const Problem p(act, 9, vocab, 37);
        const LogProbs r = logprobs(p, temperature, ex);
        for (int64_t i = 0; i < p.n(); ++i) {
          const SlowRow slow = slow_row(p, i, temperature);
          const double x = slow.x[static_cast<size_t>(p.targets[static_cast<size_t>(i)])];
          // a logit, the log-sum-exp and their difference are rounded; sums over V run in chunks and lanes
          const double error = 2 * logit_error(p, temperature) + 16 * kEps32 * (std::abs(x) + std::abs(slow.lse) + 1);
          ASSERT_NEAR(r.logprob[static_cast<size_t>(i)], x - slow.lse, error) << "row " << i;
          ASSERT_NEAR(r.entropy[static_cast<size_t>(i)], slow.entropy, 8 * error) << "row " << i;
        }
      }
    }
  }
}

TEST(Head, SamplerAndTrainerRecordTheSameBits) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (float temperature : {1.0f, 0.8f, 1.3f}) {
      const Problem p(act, 300, 5000, 48);
      const LogProbs r = logprobs(p, temperature, ex);
      EXPECT_TRUE(loss(p, temperature, random_weights(p.n()), ex).seen == r);
      Matrix logits(DType::f32, p.n(), p.vocab());
      head_logits(logits.t(), p.h.t(), packed(p.w, ex), ex);
      const float inverse = 1.0f / temperature;
      for (int64_t i = 0; i < p.n(); ++i) {
        const float* row = logits.t().f32() + i * p.vocab();
        const RowStats stats = logit_row_stats(row, p.vocab(), inverse);
        ASSERT_EQ(r.logprob[static_cast<size_t>(i)],
                  token_logprob(row, stats, p.targets[static_cast<size_t>(i)], inverse))
            << "row " << i;
        ASSERT_EQ(stats.max, *std::max_element(row, row + p.vocab()) * inverse);
      }
    }
  }
}

TEST(Head, EntropyIsOptional) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const Problem p(DType::bf16, 5, 500, 32);
  std::vector<float> alone(5);
  head_logprobs(alone, {}, p.h.t(), packed(p.w, ex), p.targets, 1.0f, ex);
  EXPECT_EQ(alone, logprobs(p, 1.0f, ex).logprob);
}

TEST(Head, RowsHaveTheSameBitsAloneAndInAnyBatch) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    const Problem all(act, 270, 1100, 33);
    const std::vector<float> weights = random_weights(all.n());
    const LogProbs expected = logprobs(all, 0.9f, ex);
    const Matrix dh = loss(all, 0.9f, weights, ex).dh;
    std::vector<int64_t> sizes{128, 256, 257};
    for (int64_t batch = 1; batch <= 70; ++batch) sizes.push_back(batch);
    for (int64_t batch : sizes) {
      // the first `batch` rows, last first: each at another place, beside other rows
      std::vector<int64_t> rows;
      for (int64_t i = batch - 1; i >= 0; --i) rows.push_back(i);
      Problem some = all;
      some.h = all.h.take(rows);
      some.targets.clear();
      LogProbs wanted;
      std::vector<float> some_weights;
      for (int64_t row : rows) {
        const size_t i = static_cast<size_t>(row);
        some.targets.push_back(all.targets[i]);
        some_weights.push_back(weights[i]);
        wanted.logprob.push_back(expected.logprob[i]);
        wanted.entropy.push_back(expected.entropy[i]);
      }
      ASSERT_TRUE(logprobs(some, 0.9f, ex) == wanted) << "batch of " << batch;
      if (batch % 8 == 1) {
        ASSERT_TRUE(loss(some, 0.9f, some_weights, ex).dh == dh.take(rows)) << "batch of " << batch;
      }
    }
  }
}

TEST(Head, ThreadsDoNotChangeBits) {
  for (DType act : kActs) {
    const Problem p(act, 300, 4000, 50);
    const auto run = [&](int threads) {
      ExecOwner owner(threads);
      return loss(p, 1.1f, random_weights(p.n()), owner.exec());
    };
    const Loss one = run(1);
    for (int threads : {2, 3}) {
      const Loss more = run(threads);
      EXPECT_TRUE(more.seen == one.seen);
      EXPECT_TRUE(more.dh == one.dh);
      EXPECT_TRUE(more.dw == one.dw);
    }
  }
}

// dL/dh = D w and dL/dw = D^T h with D[i, v] = weight[i] / temperature (1[v = target] - p): all in double.
TEST(Head, GradientsEqualSoftmaxInDouble) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (const auto& [n, vocab] : {std::pair<int64_t, int64_t>{1, 50}, {33, 385}, {6, 3400}, {262, 130}}) {
      SCOPED_TRACE(std::string(dtype_name(act)) + " n " + std::to_string(n) + " V " + std::to_string(vocab));
      const double temperature = 0.75;
      const Problem p(act, n, vocab, 29);
      const std::vector<float> weights = random_weights(n);
      const Matrix before = Matrix::random(DType::f32, vocab, p.hidden(), kSeed + 4);
      const Loss r = loss(p, static_cast<float>(temperature), weights, ex, &before);
      std::vector<std::vector<double>> d;
      for (int64_t i = 0; i < n; ++i) {
        const SlowRow slow = slow_row(p, i, temperature);
        d.emplace_back();
        for (int64_t v = 0; v < vocab; ++v)
          d.back().push_back(weights[static_cast<size_t>(i)] / temperature *
                             ((v == p.targets[static_cast<size_t>(i)]) - slow.p(v)));
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
          double sum = before.at(v, c), magnitude = std::abs(sum) * kEps32;
          for (int64_t i = 0; i < n; ++i) {
            const double term = d[static_cast<size_t>(i)][static_cast<size_t>(v)] * p.h.at(i, c);
            sum += term, magnitude += std::abs(term);
          }
          ASSERT_NEAR(r.dw.at(v, c), sum,
                      relative * magnitude + kEps32 * (std::abs(before.at(v, c)) + std::abs(sum)) + 1e-9)
              << "dw (" << v << ", " << c << ")";
        }
      }
    }
  }
}

TEST(Head, GradientsPassAFiniteDifferenceCheck) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const double temperature = 1.3, step = 0x1p-10;
  Problem p(DType::f32, 3, 23, 7, 2.0f);
  const std::vector<float> weights = random_weights(p.n());
  const Loss r = loss(p, static_cast<float>(temperature), weights, ex);
  const auto slow_loss = [&] {
    double sum = 0;
    for (int64_t i = 0; i < p.n(); ++i) sum += weights[static_cast<size_t>(i)] * slow_logprob(p, i, temperature);
    return sum;
  };
  const auto check = [&](Matrix& input, const Matrix& gradient) {
    for (int64_t i = 0; i < input.rows * input.cols; ++i) {
      const float value = input.get(i);
      const float high = value + static_cast<float>(step), low = value - static_cast<float>(step);
      input.set(i, high);
      const double up = slow_loss();
      input.set(i, low);
      const double down = slow_loss();
      input.set(i, value);
      // central differences err by step^2 times a third derivative of a few units
      ASSERT_NEAR(gradient.get(i), (up - down) / (static_cast<double>(high) - low), 2e-5) << "element " << i;
    }
  };
  check(p.h, r.dh);
  check(p.w, r.dw);
}

TEST(Head, LargeLogitsDoNotOverflow) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (float spread : {1e3f, 1e6f, 1e15f}) {
      const Problem p(act, 20, 900, 24, spread);
      const LogProbs r = logprobs(p, 0.7f, ex);
      const Loss gradients = loss(p, 0.7f, random_weights(p.n()), ex);
      for (size_t i = 0; i < r.logprob.size(); ++i) {
        EXPECT_TRUE(std::isfinite(r.logprob[i]) && r.logprob[i] <= 0) << r.logprob[i];
        EXPECT_TRUE(std::isfinite(r.entropy[i]) && r.entropy[i] >= 0) << r.entropy[i];
      }
      for (int64_t i = 0; i < p.n() * p.hidden(); ++i) ASSERT_TRUE(std::isfinite(gradients.dh.get(i)));
      for (int64_t i = 0; i < p.vocab() * p.hidden(); ++i) ASSERT_TRUE(std::isfinite(gradients.dw.get(i)));
    }
  }
}

TEST(Head, RowStatsOfKnownRows) {
  std::vector<float> row(1000, 2.0f);
  const RowStats uniform = logit_row_stats(row.data(), 1000, 0.5f);
  EXPECT_EQ(uniform.max, 1.0f);
  EXPECT_NEAR(uniform.lse, 1.0f + std::log(1000.0f), 4 * kEps32 * 8);
  EXPECT_EQ(logit_row_stats(row.data(), 1, 1.0f).lse, 2.0f);  // one token: probability 1
  row[999] = 3e38f;
  EXPECT_EQ(logit_row_stats(row.data(), 1000, 1.0f).lse, 3e38f);
  row.assign(1000, -std::numeric_limits<float>::infinity());  // forbidden tokens
  row[500] = -7.0f;
  EXPECT_EQ(logit_row_stats(row.data(), 1000, 1.0f).lse, -7.0f);
}

TEST(Head, NotANumberIsNotHidden) {
  for (size_t at : {0, 5, 383, 384, 999}) {
    std::vector<float> row(1000, 1.0f);
    row[at] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(logit_row_stats(row.data(), 1000, 1.0f).lse)) << "at " << at;
    row[at] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(std::isfinite(logit_row_stats(row.data(), 1000, 1.0f).lse)) << "at " << at;
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
      dh.t(), dw.t(), p.h.t(), packed(p.w, ex), p.w.t(), p.targets, 1.0f,
      [&](int64_t i, float, float) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        asked.push_back(i);
        return 1.0f;
      },
      ex);
  EXPECT_EQ(asked, expected);
}

TEST(Head, RowsWithoutGradientChangeNothing) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    const Problem p(act, 300, 700, 24);
    const Matrix before = Matrix::random(DType::f32, p.vocab(), p.hidden(), kSeed + 5);
    const Loss none = loss(p, 1.0f, std::vector<float>(300, 0.0f), ex, &before);
    EXPECT_TRUE(none.dw == before);
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

TEST(Head, NoRowsIsNoWork) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const Problem p(DType::bf16, 0, 100, 16);
  const Matrix before = Matrix::random(DType::f32, 100, 16, kSeed);
  EXPECT_TRUE(loss(p, 1.0f, {}, ex, &before).dw == before);
  EXPECT_TRUE(logprobs(p, 1.0f, ex).logprob.empty());
}

TEST(Head, RefusesWhatDoesNotFit) {
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  const Problem p(DType::bf16, 4, 100, 16);
  const PackedWeight w = packed(p.w, ex);
  std::vector<float> four(4), three(3);
  const Matrix dh(DType::f32, 4, 16), dw(DType::f32, 100, 16), narrow(DType::bf16, 4, 15), f32_h(DType::f32, 4, 16);
  const auto refused = [](const char* part, auto body) {
    ExitCode code = ExitCode::kOk;
    const std::string message = message_of(body, code);
    EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "' should say: " << part;
    EXPECT_EQ(code, ExitCode::kInternal);
  };
  const auto run = [&](Tensor h, std::vector<int32_t> targets, float temperature, std::span<float> out) {
    head_logprobs(out, {}, h, w, targets, temperature, ex);
  };
  refused("h is bfloat16 (4, 15)", [&] { run(narrow.t(), p.targets, 1, four); });
  refused("h is float32", [&] { run(f32_h.t(), p.targets, 1, four); });
  refused("3 targets for 4 rows", [&] { run(p.h.t(), {1, 2, 3}, 1, four); });
  refused("target 100 of a vocabulary of 100", [&] { run(p.h.t(), {1, 2, 3, 100}, 1, four); });
  refused("target -1 of", [&] { run(p.h.t(), {1, 2, 3, -1}, 1, four); });
  refused("temperature 0, must be positive", [&] { run(p.h.t(), p.targets, 0, four); });
  refused("room for 3 log-probs", [&] { run(p.h.t(), p.targets, 1, three); });
  refused("without a CPU context", [&] { head_logprobs(four, {}, p.h.t(), w, p.targets, 1, Exec{}); });
  refused("a vocabulary of 0", [&] { logit_row_stats(four.data(), 0, 1.0f); });
  const TokenGradient gradient = [](int64_t, float, float) { return 1.0f; };
  const auto run_loss = [&](Tensor dh_out, Tensor dw_out, Tensor plain) {
    head_loss(dh_out, dw_out, p.h.t(), w, plain, p.targets, 1, gradient, ex);
  };
  refused("dh is bfloat16", [&] { run_loss(narrow.t(), dw.t(), p.w.t()); });
  refused("dw is float32 (4, 16)", [&] { run_loss(dh.t(), dh.t(), p.w.t()); });
  refused("w_plain is float32", [&] { run_loss(dh.t(), dw.t(), dw.t()); });
}

}  // namespace
}  // namespace cohort
