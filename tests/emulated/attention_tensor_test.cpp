// Attention on tensor cores: bf16 in every instantiation, and what a row shares a tile with changes none of its bits.
#include <algorithm>

#include "tests/emulated/attention_fixture.h"

namespace cohort {
namespace {

// Three head sizes; rows that can be copied sixteen bytes at a time and others; one kv head's group is less than, exactly
// and more than the rows of a warp.
const std::vector<Shape> kTensorShapes = {
    {{9, 3, 64}, DType::bf16},         {{5, 1, 50, 0, 2.0f}, DType::bf16}, {{2, 1, 128, 0, 0, 70}, DType::bf16},
    {{16, 1, 100, 0.1f}, DType::bf16}, {{4, 2, 256}, DType::bf16},         {{17, 1, 250, 0, 3.0f, 33}, DType::bf16}};

class GpuTensorAttention : public GpuCachedAttention {
 protected:
  // The same numbers as float32.
  static Matrix widened(const Matrix& m) {
    Matrix wide(DType::f32, m.rows, m.cols);
    for (int64_t i = 0; i < m.rows * m.cols; ++i) wide.t().f32()[i] = m.get(i);
    return wide;
  }
  // m, with every row but those of `kept` from `other`.
  static Matrix but(const Matrix& m, const Matrix& other, const std::vector<int64_t>& kept) {
    Matrix mixed = other;
    for (int64_t row : kept) mixed.set_row(row, m, row);
    return mixed;
  }
};

TEST_F(GpuTensorAttention, EveryInstantiationMatchesTheTwinAndTheOtherKernelInEveryOrder) {
  const std::vector<PackRun> runs = group_runs({{40, 1, 30}, {5, 3}, {17}});
  for (const Shape& s : kTensorShapes) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 21);
    const std::vector<Matrix> m = in_every_order([&] {
      const Forward f = forward_on_device(s, in, runs);
      const Gradients g = backward_on_device(s, in, f, runs);
      return std::vector<Matrix>{f.out, f.lse, g.dq, g.dk, g.dv};
    });
    expect_twin(s, in, runs, {m[0], m[1]}, {m[2], m[3], m[4]});
    Inputs wide_in = in;
    wide_in.q = widened(in.q), wide_in.k = widened(in.k), wide_in.v = widened(in.v);
    const Forward wide = forward_on_device({s.heads, DType::f32}, wide_in, runs);
    expect_near(m[0], doubles(wide.out), 64 * kEps32 + kEps16, "out against f32", rms(doubles(in.v)));
    expect_near(m[1], doubles(wide.lse), 32 * kEps32, "lse against f32");
  }
}

TEST_F(GpuTensorAttention, ARowHasTheSameBitsInEveryPlaceOfATile) {
  for (const Shape& s : kTensorShapes) {
    SCOPED_TRACE(s.name());
    const int64_t rows = 90, row = 70;
    const Inputs in(s, rows, 22);
    const Forward pack = forward_on_device(s, in, {{0, rows, 0, 0}});
    const DevicePages pages(s, {&in}, 32, stream_);
    for (int64_t before : {0, 1, 2, 3, 5, 11}) {
      for (int64_t behind : {0, 1, 19}) {
        std::vector<int64_t> chunk;
        for (int64_t i = row - before; i <= row + behind; ++i) chunk.push_back(i);
        const Attended got = attend(s, in.q.take(chunk), pages, {{0, std::ssize(chunk), chunk[0], pages.of[0]}});
        ASSERT_TRUE(got.out.take({before}) == pack.out.take({row}) && got.lse.take({before}) == pack.lse.take({row}))
            << before << " rows before it, " << behind << " behind";
      }
    }
  }
}

TEST_F(GpuTensorAttention, NeighboursDoNotChangeARowsBits) {
  const std::vector<PackRun> runs = group_runs({{66, 9, 12}});
  for (const Shape& s : kTensorShapes) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 23), others(s, rows_of(runs), 24);
    const Forward wanted = forward_on_device(s, in, runs);
    for (int64_t row : {0, 20, 65, 70, 86}) {
      // Its own queries, and the keys and values that it sees, stay: those of the prompt and of its run up to itself.
      const PackRun& run = *std::ranges::find_if(runs, [&](const PackRun& r) { return row < r.begin + r.count; });
      std::vector<int64_t> seen;
      for (int64_t i = 0; i < run.prefix_count; ++i) seen.push_back(run.prefix_begin + i);
      for (int64_t i = run.begin; i <= row; ++i) seen.push_back(i);
      Inputs changed = in;
      changed.q = but(in.q, others.q, {row});
      changed.k = but(in.k, others.k, seen);
      changed.v = but(in.v, others.v, seen);
      const Forward got = forward_on_device(s, changed, runs);
      EXPECT_TRUE(got.out.take({row}) == wanted.out.take({row}) && got.lse.take({row}) == wanted.lse.take({row})) << row;
      EXPECT_FALSE(got.out == wanted.out);
    }
  }
}

// More samples of one prompt than a tile has rows, behind a split that all read together.
TEST_F(GpuTensorAttention, SamplesOfASharedSplitHaveTheTrainingPacksBits) {
  const std::vector<PackRun> runs = group_runs({{290, 1, 4, 2, 3, 9, 1, 5, 7}});
  for (const Shape& s : {Shape{{8, 1, 64}, DType::bf16}, Shape{{8, 1, 70, 0, 4.0f}, DType::bf16}, Shape{{5, 1, 256}, DType::bf16}}) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 25);
    const Forward pack = forward_on_device(s, in, runs);
    const Sequences sequences(s, in, runs);
    const DevicePages pages(s, sequences.pointers, 32, stream_, sequences.shared);
    cuda::AttentionPlan plan;
    const std::vector<Matrix> got = in_every_order([&] {
      Attended step = attend(s, in.q.take(sequences.last_rows), pages, sequences.step(pages));
      plan = step.plan;
      return std::vector<Matrix>{step.out, step.lse};
    });
    EXPECT_TRUE(got[0] == pack.out.take(sequences.last_rows) && got[1] == pack.lse.take(sequences.last_rows));
    EXPECT_LT(plan.split_tiles, plan.partials) << "nothing was read together";
  }
}

// Wherever its rows lie in tiles of 64 keys and in a warp's sixteen.
TEST_F(GpuTensorAttention, AGroupHasTheSameGradientsWhereverItLiesInAPack) {
  const std::vector<PackRun> own_runs = group_runs({{50, 37, 20}});
  for (const Shape& s : kTensorShapes) {
    SCOPED_TRACE(s.name());
    const Inputs own(s, rows_of(own_runs), 27);
    const Forward wanted = forward_on_device(s, own, own_runs);
    const Gradients g = backward_on_device(s, own, wanted, own_runs);
    for (int64_t before : {1, 13, 64}) {
      const std::vector<PackRun> runs = group_runs({{before}, {50, 37, 20}});
      Inputs in(s, rows_of(runs), 28);
      std::vector<int64_t> rows;
      for (int64_t i = 0; i < rows_of(own_runs); ++i) {
        rows.push_back(before + i);
        in.q.set_row(before + i, own.q, i), in.dout.set_row(before + i, own.dout, i);
        in.k.set_row(before + i, own.k, i), in.v.set_row(before + i, own.v, i);
      }
      const Gradients all = backward_on_device(s, in, forward_on_device(s, in, runs), runs);
      EXPECT_TRUE(all.dq.take(rows) == g.dq) << before;
      EXPECT_TRUE(all.dk.take(rows) == g.dk && all.dv.take(rows) == g.dv) << before;
    }
  }
}

TEST_F(GpuTensorAttention, LongRunsAndWindowsOverSplitsMatchTheTwin) {
  const std::vector<PackRun> runs = group_runs({{530, 40}});
  for (const Shape& s : {Shape{{3, 1, 16}, DType::bf16}, Shape{{2, 1, 16, 0, 2.0f, 300}, DType::bf16}}) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 26);
    const Forward f = forward_on_device(s, in, runs);
    expect_twin(s, in, runs, f, backward_on_device(s, in, f, runs));
  }
}

}  // namespace
}  // namespace cohort
