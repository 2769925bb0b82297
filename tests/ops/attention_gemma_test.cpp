// Scale, soft-cap and window at their limits: the narrowest, the widest, and the keys outside.
#include <gtest/gtest.h>

#include "tests/ops/attention_twin.h"

namespace cohort {
namespace {

TEST(AttentionWindow, OfOneKeyGivesTheOwnValue) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33, 64}, {5, 3}});
  for (const Shape& s : {Shape{{4, 2, 48, 0, 0, 1}}, Shape{{4, 2, 50, 2.0f, 3.0f, 1}, DType::bf16}}) {
    SCOPED_TRACE(s.name());
    const int64_t D = s.heads.head_size;
    const Inputs in(s, rows_of(runs), 3);
    const Forward f = forward(s, in, runs);
    const Gradients g = backward(s, in, f, runs);
    for (int64_t row = 0; row < in.q.rows; ++row)
      for (int64_t d = 0; d < s.width(); ++d)
        ASSERT_EQ(f.out.at(row, d), in.v.at(row, d / (2 * D) * D + d % D)) << "row " << row;
    Twin twin(s, in, runs);
    twin.run_backward(doubles(in.dout));
    // With bf16 the backward pass adds up a score in another order than the forward pass.
    expect_near(g.dv, twin.dv, s.dtype == DType::bf16 ? 64 * kEps32 : 4 * kEps32, "dv");
  }
}

TEST(AttentionWindow, ThatHoldsEveryKeyIsNoWindow) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33, 64}, {130}});  // no position above 133
  for (const Shape& s : {Shape{{9, 3, 64}}, Shape{{2, 1, 80, 0.1f, 4.0f}, DType::bf16}}) {
    const Inputs in(s, rows_of(runs), 13);
    const Forward f = forward(s, in, runs);
    const Gradients g = backward(s, in, f, runs);
    for (int64_t window : {int64_t{134}, int64_t{1000}, std::numeric_limits<int64_t>::max()}) {
      Shape wide = s;
      wide.heads.window = window;
      SCOPED_TRACE(wide.name());
      const Forward f2 = forward(wide, in, runs);
      EXPECT_TRUE(f2.out == f.out && f2.lse == f.lse);
      const Gradients g2 = backward(wide, in, f2, runs);
      EXPECT_TRUE(g2.dq == g.dq && g2.dk == g.dk && g2.dv == g.dv);
      const Inputs sequence(s, 134, 14);
      EXPECT_TRUE(cached(wide, sequence, {100, 34}) == cached(s, sequence, {134})) << "cached";
    }
  }
}

// Rows of a pack with one key and value spoilt: those that see it change, all others keep their bits.
TEST(AttentionWindow, KeysOutsideCannotReachARow) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t window : {1, 2, 20, 63, 64, 65, 100, 128}) {
    const Shape s{{3, 1, 64, 0, window % 2 == 0 ? 5.0f : 0.0f, window}};
    SCOPED_TRACE(s.name());
    const int64_t prompt = 100, rows = 300;  // the second run begins inside the first block's windows
    const std::vector<PackRun> runs = {{0, prompt, 0, 0}, {prompt, rows - prompt, 0, prompt}};
    const Inputs clean(s, rows, 61);
    const Forward f = forward(s, clean, runs);
    for (int64_t key : {0, 31, 63, 64, 90, 99, 100, 127, 128, 200}) {
      Inputs in = clean;
      for (int64_t d = 0; d < s.kv_width(); ++d) {
        in.k.set(key * s.kv_width() + d, nan);
        in.v.set(key * s.kv_width() + d, std::numeric_limits<float>::infinity());
      }
      const Forward spoilt = forward(s, in, runs);
      const Matrix decoded = cached(s, in, std::vector<int64_t>(static_cast<size_t>(rows), 1));
      for (int64_t row = 0; row < rows; ++row) {
        const bool seen = key <= row && row < key + window;
        ASSERT_EQ(spoilt.out.row_bytes(row) == f.out.row_bytes(row), !seen) << "key " << key << " row " << row;
        ASSERT_EQ(decoded.row_bytes(row) == f.out.row_bytes(row), !seen) << "decode, key " << key << " row " << row;
        if (!seen) {
          ASSERT_EQ(spoilt.lse.row_bytes(row), f.lse.row_bytes(row)) << "key " << key << " row " << row;
        }
      }
    }
  }
}

TEST(AttentionWindow, KeysThatNoRowSeesHaveGradientZero) {
  // Of the prompt's 200 keys the completions see the last 29, and their gradients come from nowhere else.
  const Shape s{{4, 2, 32, 0, 0, 30}};
  const std::vector<PackRun> runs = {{200, 50, 0, 200}, {250, 10, 0, 200}};
  const Inputs in(s, 260, 17);
  const Gradients g = backward(s, in, forward(s, in, runs), runs);
  for (int64_t row = 0; row < 200; ++row)
    for (int64_t d = 0; d < s.kv_width(); ++d) {
      ASSERT_EQ(g.dk.at(row, d) != 0, row > 170) << row;
      ASSERT_EQ(g.dv.at(row, d) != 0, row > 170) << row;
    }
}

TEST(AttentionSoftcap, FarAboveTheScoresItChangesLittle) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33}});
  const Shape plain{{4, 2, 64}}, capped{{4, 2, 64, 0.125f, 1e5f}};
  const Inputs in(plain, rows_of(runs), 19);
  const Forward f = forward(plain, in, runs), f2 = forward(capped, in, runs);
  const Gradients g = backward(plain, in, f, runs), g2 = backward(capped, in, f2, runs);
  expect_near(f2.out, doubles(f.out), 32 * kEps32, "out");
  expect_near(f2.lse, doubles(f.lse), 16 * kEps32, "lse");
  expect_near(g2.dq, doubles(g.dq), 64 * kEps32, "dq");
  expect_near(g2.dk, doubles(g.dk), 64 * kEps32, "dk");
  expect_near(g2.dv, doubles(g.dv), 64 * kEps32, "dv");
}

TEST(AttentionScale, TheDefaultIsTheRootOfTheHeadSize) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33}});
  const Shape plain{{4, 2, 64}}, said{{4, 2, 64, 0.125f}};
  const Inputs in(plain, rows_of(runs), 29);
  const Forward f = forward(plain, in, runs), f2 = forward(said, in, runs);
  EXPECT_TRUE(f2.out == f.out && f2.lse == f.lse);  // 1/8 is a power of two: no rounding differs
  EXPECT_TRUE(backward(said, in, f2, runs).dk == backward(plain, in, f, runs).dk);
}

}  // namespace
}  // namespace cohort
