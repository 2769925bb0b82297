// The language-model head against softmax in double, at its limits, and what it refuses.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/ops/head_problem.h"

namespace cohort {
namespace {

TEST(Head, LogProbsAndEntropyEqualSoftmaxInDouble) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (int64_t vocab : {1, 2, 16, 383, 384, 385, 1000, 3500}) {
      for (const auto& [temperature, softcap] :
           {std::pair{0.7f, 0.0f}, {1.0f, 0.0f}, {1.5f, 0.0f}, {0.7f, 4.0f}, {1.0f, 30.0f}}) {
        SCOPED_TRACE(std::string(dtype_name(act)) + " V " + std::to_string(vocab) + " temperature " +
                     std::to_string(temperature) + " seed " + std::to_string(kSeed));
        const Problem p(act, 9, vocab, 37, 3.0f, softcap);
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

TEST(Head, EntropyIsOptional) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const Problem p(DType::bf16, 5, 500, 32);
  std::vector<float> alone(5);
  head_logprobs(alone, {}, p.h.t(), packed(p.w, ex), p.targets, 1.0f, ex);
  EXPECT_EQ(alone, logprobs(p, 1.0f, ex).logprob);
}

TEST(Head, LargeLogitsDoNotOverflow) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (const auto& [spread, softcap] :
         {std::pair{1e3f, 0.0f}, {1e6f, 0.0f}, {1e15f, 0.0f}, {1e3f, 30.0f}, {1e15f, 30.0f}}) {
      const Problem p(act, 20, 900, 24, spread, softcap);
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

TEST(Head, NoRowsHaveNoGradient) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const Problem p(DType::bf16, 0, 100, 16);
  EXPECT_TRUE(loss(p, 1.0f, {}, ex).dw == Matrix(DType::f32, 100, 16)) << "zeros";
  EXPECT_TRUE(logprobs(p, 1.0f, ex).logprob.empty());
}

// The likeliest token of each row is no less likely than any other, and is one of them.
TEST(Head, KnowsTheLogProbOfTheLikeliestToken) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (const DType act : kActs) {
    for (const float softcap : {0.0f, 5.0f}) {
      Problem p(act, 7, 1000, 32, 3.0f, softcap);
      const PackedWeight w = packed(p.w, ex);
      Matrix logits(DType::f32, 7, 1000);
      head_logits(logits.t(), p.h.t(), w, ex, softcap);
      for (size_t r = 0; r < 7; r += 2) {  // of every second row the target is the likeliest
        const float* row = logits.t().f32() + r * 1000;
        p.targets[r] = static_cast<int32_t>(std::max_element(row, row + 1000) - row);
      }
      std::vector<float> logprob(7), best(7), best_of_loss(7), seen;
      head_logprobs(logprob, {}, p.h.t(), w, p.targets, 0.7f, ex, softcap, best);
      const Matrix dh(DType::f32, 7, 32), dw(DType::f32, 1000, 32);
      head_loss(dh.t(), dw.t(), p.h.t(), w, p.targets, 0.7f,
                [&](int64_t r, float, float) {
                  seen.push_back(best_of_loss[static_cast<size_t>(r)]);
                  return 1.0f;
                },
                ex, softcap, {}, {}, {}, best_of_loss);
      EXPECT_EQ(best_of_loss, best);
      EXPECT_EQ(seen, best) << "known before the gradient is asked for";
      for (size_t r = 0; r < 7; ++r) EXPECT_EQ(logprob[r] == best[r], r % 2 == 0) << r;
    }
  }
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
  refused("head_logprobs: softcap -30, must be positive, or 0 for none",
          [&] { head_logprobs(four, {}, p.h.t(), w, p.targets, 1, ex, -30); });
  refused("head_logits: softcap nan", [&] { head_logits(dw.t(), p.h.t(), w, ex, NAN); });
  refused("head_logprobs: room for 3 best log-probs of 4 rows", [&] { head_logprobs(four, {}, p.h.t(), w, p.targets, 1, ex, 0, three); });
  refused("head_loss: room for 3 best log-probs of 4 rows",
          [&] { head_loss(dh.t(), dw.t(), p.h.t(), w, p.targets, 1, [](int64_t, float, float) { return 1.0f; }, ex, 0, {}, {}, {}, three); });
  refused("room for 3 log-probs", [&] { run(p.h.t(), p.targets, 1, three); });
  refused("without a CPU context", [&] { head_logprobs(four, {}, p.h.t(), w, p.targets, 1, Exec{}); });
  refused("a vocabulary of 0", [&] { logit_row_stats(four.data(), 0, 1.0f); });
  const TokenGradient gradient = [](int64_t, float, float) { return 1.0f; };
  const auto run_loss = [&](Tensor dh_out, Tensor dw_out) {
    head_loss(dh_out, dw_out, p.h.t(), w, p.targets, 1, gradient, ex);
  };
  refused("head_loss: softcap inf",
          [&] { head_loss(dh.t(), dw.t(), p.h.t(), w, p.targets, 1, gradient, ex, INFINITY); });
  refused("dh is bfloat16", [&] { run_loss(narrow.t(), dw.t()); });
  refused("dw is float32 (4, 16)", [&] { run_loss(dh.t(), dh.t()); });
}

// The kernels' own tanh, through a head whose logits are its weights.
TEST(Head, SoftcapIsTanhWithinFourUlp) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  Matrix h(DType::f32, 1, 1);
  h.fill(1);
  std::vector<float> x;  // all magnitudes, both signs, from the smallest subnormal to the largest number
  for (uint32_t bits = 1; bits < 0x7F800000; bits += 9973) {
    x.push_back(std::bit_cast<float>(bits));
    x.push_back(-x.back());
  }
  for (float special : {0.0f, 0.1f, 0.25f, 0.5f, 1.0f, 9.0f, 9.1f, 10.0f, INFINITY, -INFINITY}) x.push_back(special);
  const int64_t n = std::ssize(x);
  Matrix w(DType::f32, n, 1), logits(DType::f32, 1, n);
  for (int64_t i = 0; i < n; ++i) w.set(i, x[static_cast<size_t>(i)]);
  head_logits(logits.t(), h.t(), packed(w, ex), ex, 1.0f);
  for (int64_t i = 0; i < n; ++i) {
    const double wanted = std::tanh(static_cast<double>(x[static_cast<size_t>(i)]));
    const float size = std::abs(static_cast<float>(wanted));
    const double ulp = static_cast<double>(size) - std::nextafter(size, -1.0f);
    ASSERT_NEAR(logits.get(i), wanted, 4 * ulp) << "tanh(" << x[static_cast<size_t>(i)] << ")";
    ASSERT_LE(std::abs(logits.get(i)), 1.0f);
  }
}

TEST(Head, SoftcapHidesNoNaN) {
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  Problem p(DType::f32, 4, 40, 8, 3.0f, 30.0f);
  p.h.set(8, std::numeric_limits<float>::quiet_NaN());  // row 1
  const LogProbs r = logprobs(p, 1.0f, ex);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(std::isnan(r.logprob[i]), i == 1) << i;
}

TEST(Head, SoftcapBoundsTheLogits) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (int64_t vocab : {1, 17, 5000}) {
      const Problem p(act, 7, vocab, 24, 50.0f, 30.0f);
      Matrix logits(DType::f32, 7, vocab), capped(DType::f32, 7, vocab);
      head_logits(logits.t(), p.h.t(), packed(p.w, ex), ex);
      head_logits(capped.t(), p.h.t(), packed(p.w, ex), ex, p.softcap);
      for (int64_t i = 0; i < 7 * vocab; ++i) {
        const double wanted = 30 * std::tanh(static_cast<double>(logits.get(i)) / 30);
        ASSERT_NEAR(capped.get(i), wanted, 5 * kEps32 * std::abs(wanted)) << i;
      }
    }
  }
}

}  // namespace
}  // namespace cohort
