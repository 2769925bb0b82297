// The promise of the head: all its paths give one log-prob, whatever the batch and the threads.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/ops/head_problem.h"

namespace cohort {
namespace {

TEST(Head, SamplerAndTrainerRecordTheSameBits) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    for (const auto& [temperature, softcap] :
         {std::pair{1.0f, 0.0f}, {0.8f, 0.0f}, {1.3f, 0.0f}, {1.0f, 30.0f}, {0.8f, 2.5f}}) {
      const Problem p(act, 300, 5000, 48, 3.0f, softcap);
      const LogProbs r = logprobs(p, temperature, ex);
      EXPECT_TRUE(loss(p, temperature, random_weights(p.n()), ex).seen == r);
      Matrix logits(DType::f32, p.n(), p.vocab());
      head_logits(logits.t(), p.h.t(), packed(p.w, ex), ex, p.softcap);
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

TEST(Head, RowsHaveTheSameBitsAloneAndInAnyBatch) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : kActs) {
    const Problem all(act, 270, 1100, 33, 3.0f, act == DType::bf16 ? 5.0f : 0.0f);
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
    const Problem p(act, 300, 4000, 50, 3.0f, act == DType::bf16 ? 5.0f : 0.0f);
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

}  // namespace
}  // namespace cohort
