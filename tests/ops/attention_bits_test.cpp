// The promise of attention: a row's bits depend on its own prefix and on nothing else.

#include <gtest/gtest.h>

#include "core/rng.h"
#include "tests/ops/attention_twin.h"

namespace cohort {
namespace {

TEST(AttentionBits, AnyChunkingGivesTheSameBits) {
  Random random(7, Stream::kTest);
  for (const Shape& s : all_shapes()) {
    SCOPED_TRACE(s.name());
    const int64_t rows = 150;
    const Inputs in(s, rows, 31);
    const Matrix whole = cached(s, in, {rows});
    EXPECT_TRUE(cached(s, in, std::vector<int64_t>(rows, 1)) == whole) << "one token at a time";
    std::vector<int64_t> chunks;
    for (int64_t left = rows; left > 0; left -= chunks.back())
      chunks.push_back(std::min<int64_t>(left, random.between(1, 40)));
    Matrix lse(DType::f32, rows, s.heads.num_heads);
    EXPECT_TRUE(cached(s, in, chunks, 1, 64, &lse) == whole) << "random chunks, seed 7";
    const Forward pack = forward(s, in, {{0, rows, 0, 0}});
    EXPECT_TRUE(pack.out == whole) << "the training pack";
    EXPECT_TRUE(pack.lse == lse) << "log-sum-exps of the training pack and of random chunks, seed 7";
  }
}

// A pack's rows as sequences of their own: prompt rows and then the run's.
std::vector<int64_t> sequence_rows(const PackRun& run) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < run.prefix_count; ++i) rows.push_back(run.prefix_begin + i);
  for (int64_t i = 0; i < run.count; ++i) rows.push_back(run.begin + i);
  return rows;
}

TEST(AttentionBits, ARowIsTheSameAloneInAPackAndInABatchOfSequences) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33, 64, 40}, {5, 3}, {130}, {63, 65, 17}});
  for (const Shape& s : all_shapes()) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 41);
    const Forward pack = forward(s, in, runs);
    std::vector<Inputs> alone;  // each run as a sequence
    Matrix last_q(s.dtype, static_cast<int64_t>(runs.size()), s.width());
    alone.reserve(runs.size());
    for (size_t r = 0; r < runs.size(); ++r) {
      const std::vector<int64_t> rows = sequence_rows(runs[r]);
      Inputs& own = alone.emplace_back(s, 1, 0);
      own.q = in.q.take(rows), own.k = in.k.take(rows), own.v = in.v.take(rows);
      const int64_t count = static_cast<int64_t>(rows.size());
      const Forward f = forward(s, own, {{0, count, 0, 0}});
      for (int64_t i = 0; i < runs[r].count; ++i) {
        const int64_t row = runs[r].begin + i, own_row = runs[r].prefix_count + i;
        ASSERT_EQ(pack.out.row_bytes(row), f.out.row_bytes(own_row)) << "run " << r << " row " << i;
        ASSERT_EQ(pack.lse.row_bytes(row), f.lse.row_bytes(own_row)) << "lse of run " << r << " row " << i;
      }
      last_q.set_row(static_cast<int64_t>(r), own.q, count - 1);
    }
    std::vector<const Inputs*> sequences;
    for (const Inputs& own : alone) sequences.push_back(&own);
    // The last tokens of all sequences in one decode step, on few threads (whole key rows) and on many (head by head).
    for (int64_t page_tokens : {16, 64, 128}) {
      const Pages pages(s, sequences, page_tokens);
      std::vector<CachedRun> last;
      for (size_t r = 0; r < runs.size(); ++r)
        last.push_back({static_cast<int64_t>(r), 1, alone[r].k.rows - 1, pages.of[r]});
      for (int threads : {1, 2, 8}) {
        ExecOwner owner(threads);
        Matrix out(s.dtype, last_q.rows, s.width());
        attention_cached(out.t(), last_q.t(), pages.view(), last, s.heads, owner.exec());
        for (size_t r = 0; r < runs.size(); ++r)
          ASSERT_EQ(out.row_bytes(static_cast<int64_t>(r)), pack.out.row_bytes(runs[r].begin + runs[r].count - 1))
              << "decode, sequence " << r << ", " << threads << " threads, pages of " << page_tokens;
      }
    }
  }
}

// Samples of one prompt whose first pages are the same go through the keys they share together.
TEST(AttentionBits, SharedPagesDoNotChangeBits) {
  const std::vector<int64_t> prompts = {150, 64, 63, 200}, samples = {7, 1, 3, 12};
  for (const Shape& s : {kPlainShapes[0], kPlainShapes[1], kPlainShapes[3], kPlainShapes[5], kGemmaShapes[2], kGemmaShapes[4]}) {
    SCOPED_TRACE(s.name());
    std::vector<Inputs> texts;
    std::vector<std::pair<size_t, int64_t>> shared;
    texts.reserve(64);
    for (size_t p = 0; p < prompts.size(); ++p) {
      const size_t leader = texts.size();
      for (int64_t i = 0; i < samples[p]; ++i) {
        texts.emplace_back(s, prompts[p] + 1 + 17 * i % 90, 100 * p + static_cast<size_t>(i));
        for (int64_t j = 0; j < prompts[p]; ++j)
          texts.back().k.set_row(j, texts[leader].k, j), texts.back().v.set_row(j, texts[leader].v, j);
        shared.emplace_back(leader, i == 0 ? 0 : prompts[p]);
      }
    }
    std::vector<const Inputs*> sequences;
    const int64_t n = static_cast<int64_t>(texts.size());
    Matrix last_q(s.dtype, n, s.width()), alone(s.dtype, n, s.width()), alone_lse(DType::f32, n, s.heads.num_heads);
    for (size_t i = 0; i < texts.size(); ++i) {
      sequences.push_back(&texts[i]);
      const int64_t last = texts[i].q.rows - 1;
      last_q.set_row(static_cast<int64_t>(i), texts[i].q, last);
      const Forward f = forward(s, texts[i], {{0, last + 1, 0, 0}});
      alone.set_row(static_cast<int64_t>(i), f.out, last), alone_lse.set_row(static_cast<int64_t>(i), f.lse, last);
    }
    for (int64_t page_tokens : {16, 64, 128}) {
      const Pages pages(s, sequences, page_tokens, shared);
      std::vector<CachedRun> last;
      for (int64_t i = 0; i < n; ++i) last.push_back({i, 1, texts[i].k.rows - 1, pages.of[static_cast<size_t>(i)]});
      for (int threads : {1, 2, 5}) {
        ExecOwner owner(threads);
        Matrix out(s.dtype, n, s.width()), lse(DType::f32, n, s.heads.num_heads);
        attention_cached(out.t(), last_q.t(), pages.view(), last, s.heads, owner.exec(), lse.t());
        EXPECT_TRUE(lse == alone_lse) << threads << " threads, pages of " << page_tokens;
        EXPECT_TRUE(out == alone) << threads << " threads, pages of " << page_tokens;
      }
    }
  }
}

TEST(AttentionBits, ThreadsDoNotChangeBits) {
  const std::vector<PackRun> runs = group_runs({{90, 20, 33, 70, 1, 40}, {200, 3}, {300}});
  for (const Shape& s : {kPlainShapes[0], kPlainShapes[1], kPlainShapes[3], kPlainShapes[5], kGemmaShapes[2],
                         kGemmaShapes[4], kGemmaShapes[8]}) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 53);
    const Forward f = forward(s, in, runs);
    const Gradients g = backward(s, in, f, runs);
    for (int threads : {2, 3}) {
      const Forward f2 = forward(s, in, runs, threads);
      EXPECT_TRUE(f2.out == f.out && f2.lse == f.lse) << threads << " threads";
      const Gradients g2 = backward(s, in, f, runs, threads);
      EXPECT_TRUE(g2.dq == g.dq && g2.dk == g.dk && g2.dv == g.dv) << threads << " threads, backward";
    }
  }
}

TEST(AttentionBits, LaterRowsCannotReachARow) {
  const Shape s{{3, 1, 64}};
  const int64_t rows = 100, seen = 77;
  Inputs in(s, rows, 61);
  const Forward clean = forward(s, in, {{0, rows, 0, 0}});
  for (int64_t row = seen; row < rows; ++row)
    for (int64_t d = 0; d < s.kv_width(); ++d) {
      in.k.set(row * s.kv_width() + d, std::numeric_limits<float>::quiet_NaN());
      in.v.set(row * s.kv_width() + d, std::numeric_limits<float>::infinity());
    }
  const Forward f = forward(s, in, {{0, rows, 0, 0}});
  for (int64_t row = 0; row < seen; ++row) ASSERT_EQ(f.out.row_bytes(row), clean.out.row_bytes(row)) << row;
}

}  // namespace
}  // namespace cohort
