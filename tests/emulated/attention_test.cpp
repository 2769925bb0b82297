// Attention on the GPU against a twin in double, and its promise: a row's bits depend on its own prefix alone.
#include "model/cuda/attention.h"

#include <cstring>

#include "tests/emulated/attention_fixture.h"

namespace cohort {
namespace {

// Each instantiation: two types, three head sizes; rows of D numbers that can be read eight at a time and others.
const std::vector<Shape> kInstantiations = {
    {{3, 1, 64}, DType::f32},        {{6, 2, 50, 0, 2.0f}, DType::bf16},   {{2, 1, 128, 0, 0, 70}, DType::f32},
    {{4, 1, 80, 0.1f}, DType::bf16}, {{1, 1, 256, 0, 3.0f}, DType::f32}, {{2, 2, 200, 0, 0, 33}, DType::bf16}};

TEST_F(GpuAttention, EveryInstantiationMatchesTheTwinInEveryOrder) {
  const std::vector<PackRun> runs = group_runs({{40, 1, 30}, {5, 3}, {17}});
  for (const Shape& s : kInstantiations) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 11);
    const std::vector<Matrix> m = in_every_order([&] {
      const Forward f = forward_on_device(s, in, runs);
      const Gradients g = backward_on_device(s, in, f, runs);
      return std::vector<Matrix>{f.out, f.lse, g.dq, g.dk, g.dv};
    });
    expect_twin(s, in, runs, {m[0], m[1]}, {m[2], m[3], m[4]});
  }
}

TEST_F(GpuAttention, EveryShapeMatchesTheTwin) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33, 64}, {5, 3}, {64, 17}});
  for (const Shape& s : all_shapes()) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 12);
    const Forward f = forward_on_device(s, in, runs);
    expect_twin(s, in, runs, f, backward_on_device(s, in, f, runs));
  }
}

TEST_F(GpuAttention, SplitsOfLongRunsMatchTheTwin) {
  const std::vector<PackRun> runs = group_runs({{530, 40}});
  for (const Shape& s : {Shape{{2, 1, 16}}, Shape{{2, 1, 16, 0, 2.0f, 300}}}) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 5);
    const Forward f = forward_on_device(s, in, runs);
    expect_twin(s, in, runs, f, backward_on_device(s, in, f, runs));
  }
}

TEST_F(GpuAttention, RunsHaveTheSameBitsAloneAndInAPack) {
  const std::vector<PackRun> runs = group_runs({{70, 33}, {41}});
  const Shape s{{6, 2, 50, 0, 2.0f}, DType::bf16};
  const Inputs in(s, rows_of(runs), 6);
  const Forward all = forward_on_device(s, in, runs);
  const Gradients gradients = backward_on_device(s, in, all, runs);
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 103}, {103, 41}}) {
    std::vector<int64_t> rows;
    for (int64_t r = begin; r < begin + count; ++r) rows.push_back(r);
    Inputs own(s, 1, 0);
    own.q = in.q.take(rows), own.k = in.k.take(rows), own.v = in.v.take(rows), own.dout = in.dout.take(rows);
    const std::vector<PackRun> own_runs = begin == 0 ? group_runs({{70, 33}}) : group_runs({{41}});
    const Forward f = forward_on_device(s, own, own_runs);
    const Gradients g = backward_on_device(s, own, f, own_runs);
    EXPECT_TRUE(f.out == all.out.take(rows) && f.lse == all.lse.take(rows));
    EXPECT_TRUE(g.dq == gradients.dq.take(rows) && g.dk == gradients.dk.take(rows) && g.dv == gradients.dv.take(rows));
  }
}

TEST_F(GpuAttention, RowsOfNoRunGetNoGradient) {
  const Shape s{{2, 1, 16}};
  const std::vector<PackRun> runs = {{2, 10, 0, 0}};
  const Inputs in(s, 15, 81);
  const Gradients g = backward_on_device(s, in, forward_on_device(s, in, runs), runs);
  for (int64_t row : {0, 1, 12, 14})
    for (const Matrix* m : {&g.dq, &g.dk, &g.dv})
      for (int64_t d = 0; d < m->cols; ++d) ASSERT_EQ(m->at(row, d), 0.0f) << row;
}

TEST_F(GpuCachedAttention, AnyChunkingGivesTheTrainingPacksBits) {
  Random random(7, Stream::kTest);
  for (const Shape& s : kInstantiations) {
    SCOPED_TRACE(s.name());
    const int64_t rows = 100;
    const Inputs in(s, rows, 31);
    const Forward pack = forward_on_device(s, in, {{0, rows, 0, 0}});
    const DevicePages pages(s, {&in}, 64, stream_);
    for (int64_t most : {int64_t{40}, rows}) {
      for (int64_t at = 0; at < rows;) {
        const int64_t count = most == rows ? rows : std::min<int64_t>(rows - at, random.between(1, most));
        std::vector<int64_t> chunk;
        for (int64_t i = 0; i < count; ++i) chunk.push_back(at + i);
        const Attended got = attend(s, in.q.take(chunk), pages, {{0, count, at, pages.of[0]}});
        ASSERT_TRUE(got.out == pack.out.take(chunk) && got.lse == pack.lse.take(chunk)) << at << " " << count << ", seed 7";
        at += count;
      }
    }
  }
}

// The last tokens of samples of two prompts, some behind whole shared splits, in one step.
TEST_F(GpuCachedAttention, ADecodeStepHasTheTrainingPacksBits) {
  const std::vector<PackRun> runs = group_runs({{520, 1, 33, 300}, {70, 3}, {256, 4}});
  for (Shape s : {Shape{{3, 1, 64}, DType::f32}, Shape{{6, 2, 50, 0, 2.0f}, DType::bf16}, Shape{{4, 4, 16, 0, 0, 100}, DType::f32}}) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 41);
    const Forward pack = forward_on_device(s, in, runs);
    const Sequences sequences(s, in, runs);
    const std::vector<int64_t>& last_rows = sequences.last_rows;
    for (int64_t page_tokens : {16, 64, 128}) {
      const DevicePages pages(s, sequences.pointers, page_tokens, stream_, sequences.shared);
      const std::vector<CachedRun> last = sequences.step(pages);
      cuda::AttentionPlan plan;
      const std::vector<Matrix> got = in_every_order([&] {
        Attended step = attend(s, in.q.take(last_rows), pages, last);
        plan = step.plan;
        return std::vector<Matrix>{step.out, step.lse};
      });
      EXPECT_TRUE(got[0] == pack.out.take(last_rows) && got[1] == pack.lse.take(last_rows)) << "pages of " << page_tokens;
      EXPECT_GT(plan.partials, 0) << "nothing was split";
      // A decode step of one sequence, whatever stands beside it.
      for (size_t r : {size_t{0}, runs.size() - 1}) {
        const Attended one = attend(s, in.q.take({last_rows[r]}), pages, {{0, 1, last[r].first_position, pages.of[r]}});
        EXPECT_TRUE(one.out == pack.out.take({last_rows[r]}));
      }
    }
  }
}

TEST_F(GpuCachedAttention, SharedSplitsAreReadOnceByAllSamples) {
  const HeadLayout heads{4, 2, 16};
  std::vector<int32_t> a, b, c, d;
  for (int32_t i = 0; i < 12; ++i) a.push_back(i), b.push_back(i < 9 ? i : 20 + i), c.push_back(40 + i), d.push_back(i < 3 ? i : 60 + i);
  const std::vector<CachedRun> runs = {{0, 1, 700, a}, {1, 1, 650, b}, {2, 1, 600, c}, {3, 1, 750, d}, {4, 1, 700, a}};
  const cuda::AttentionPlan plan = cuda::cached_plan(runs, 5, 64, heads);
  // a and b share two splits; c and d nothing (d's pages part within the first); each has three.
  EXPECT_EQ(plan.partials, 15);
  EXPECT_EQ(plan.split_tiles, 15 - 2);
  const cuda::AttentionPlan windowed = cuda::cached_plan(runs, 5, 64, {4, 2, 16, 0, 0, 200});
  EXPECT_EQ(windowed.split_tiles, windowed.partials) << "a window's splits are not shared";
  EXPECT_EQ(windowed.partials, 4 * 2) << "no split without a key of the window; one split alone is not put together";
}

TEST_F(GpuCachedAttention, RowsOfNoRunWriteNothing) {
  for (const Shape& s : {Shape{{4, 2, 16}, DType::f32}, Shape{{4, 2, 16}, DType::bf16}}) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, 300, 17);
    const DevicePages pages(s, {&in}, 16, stream_);
    const std::vector<CachedRun> runs = {{0, 1, 299, pages.of[0]}, {1, 1, 20, pages.of[0]}};
    const Attended alone = attend(s, in.q.take({299, 20}), pages, runs);
    // The same two rows again, into their places, with three more.
    const std::vector<int64_t> rows = {299, 20, 1, 2, 3};
    const cuda::AttentionPlan plan = cuda::cached_plan(runs, 5, 16, s.heads);
    const DeviceMatrix k(in.k.take(rows)), v(in.v.take(rows)), device_plan(plan.numbers);
    cuda::store_cached(pages.view(), k.t(), v.t(), plan, device_plan.t(), s.heads, stream_);
    const Attended more = attend(s, in.q.take(rows), pages, runs);
    EXPECT_TRUE(more.out.take({0, 1}) == alone.out && more.lse.take({0, 1}) == alone.lse);
    const Matrix untouched = DeviceMatrix(s.dtype, 3, s.width()).host();
    EXPECT_TRUE(more.out.take({2, 3, 4}) == untouched);
  }
}

// A graph of one serves the others.
TEST_F(GpuAttention, PlansOfPassesThatLookAlikeHaveTheSameLaunchesAndPlaces) {
  const HeadLayout heads{4, 2, 16};
  std::vector<int32_t> a(20, 1), b(40, 2);
  const auto plan = [&](int64_t of_a, int64_t of_b, int64_t rows) {
    const std::vector<CachedRun> runs = {{0, 1, of_a, a}, {1, 1, of_b, b}};
    return cuda::cached_plan(runs, rows, 64, heads);
  };
  const auto same = [](const cuda::AttentionPlan& x, const cuda::AttentionPlan& y) {
    return std::memcmp(&x.at, &y.at, sizeof(x.at)) == 0 && std::memcmp(&x.room, &y.room, sizeof(x.room)) == 0;
  };
  const cuda::AttentionPlan first = plan(100, 700, 4);
  EXPECT_TRUE(same(first, plan(101, 900, 4)));
  EXPECT_FALSE(same(first, plan(300, 900, 4))) << "all are split";
  EXPECT_FALSE(same(first, plan(100, 200, 4))) << "none is split";
  EXPECT_FALSE(same(first, plan(100, 700, 8)));
  EXPECT_EQ(first.queries, 4);
  EXPECT_EQ(first.partials, 3);
}

TEST_F(GpuAttention, RunsOfNoRowsChangeNothing) {
  const HeadLayout heads{4, 2, 16};
  const std::vector<int32_t> pages = {0, 1};
  const std::vector<PackRun> some = {{0, 3, 0, 0}, {3, 2, 0, 3}}, with_none = {{0, 0, 0, 0}, {0, 3, 0, 0}, {3, 0, 0, 3}, {3, 2, 0, 3}};
  EXPECT_EQ(cuda::pack_plan(with_none, 5, heads).numbers, cuda::pack_plan(some, 5, heads).numbers);
  const std::vector<CachedRun> cached = {{0, 1, 20, pages}, {1, 4, 3, pages}},
                               cached_with_none = {{0, 1, 20, pages}, {1, 0, 7, pages}, {1, 4, 3, pages}};
  EXPECT_EQ(cuda::cached_plan(cached_with_none, 5, 16, heads).numbers, cuda::cached_plan(cached, 5, 16, heads).numbers);
}

TEST_F(GpuAttention, RefusesImpossiblePlans) {
  const HeadLayout heads{2, 1, 16};
  const auto pack = [&](const std::vector<PackRun>& runs, int64_t rows, const HeadLayout& with) {
    return [=] { (void)cuda::pack_plan(runs, rows, with); };
  };
  const std::vector<PackRun> good = {{0, 4, 0, 0}};
  EXPECT_NO_THROW(pack(good, 4, heads)());
  EXPECT_THROW(pack(good, 4, {4, 3, 16})(), Error);
  EXPECT_THROW(pack(good, 4, {1, 1, 16, -1.0f})(), Error);
  EXPECT_THROW(pack(good, 4, {1, 1, 16, NAN})(), Error);
  EXPECT_THROW(pack(good, 4, {1, 1, 16, 0, 0, -1})(), Error);
  EXPECT_THROW(pack({{0, 5, 0, 0}}, 4, heads)(), Error);
  EXPECT_THROW(pack({{0, 3, 0, 0}, {2, 2, 0, 0}}, 4, heads)(), Error);
  EXPECT_THROW(pack({{0, 2, 0, 0}, {2, 2, 1, 2}}, 4, heads)(), Error);
  const std::vector<int32_t> pages = {0};
  const auto cached = [&](const CachedRun& run, int64_t page_tokens) {
    return [=, &heads] { (void)cuda::cached_plan({&run, 1}, 4, page_tokens, heads); };
  };
  EXPECT_NO_THROW(cached({0, 4, 0, pages}, 16)());
  EXPECT_THROW(cached({0, 4, 0, pages}, 48)(), Error) << "no power of two";
  EXPECT_THROW(cached({0, 4, 0, pages}, 8)(), Error);
  EXPECT_THROW(cached({0, 4, 0, pages}, 512)(), Error) << "wider than a split";
  EXPECT_THROW(cached({0, 5, 0, pages}, 16)(), Error) << "more rows than queries";
  EXPECT_THROW(cached({0, 4, 13, pages}, 16)(), Error) << "more positions than pages";
}

TEST_F(GpuAttention, RefusesWrongShapesTypesAndPlans) {
  const Shape s{{2, 1, 16}};
  const Inputs in(s, 4, 1);
  const std::vector<PackRun> runs = {{0, 4, 0, 0}};
  const cuda::AttentionPlan plan = cuda::pack_plan(runs, 4, s.heads);
  const DeviceMatrix q(in.q), k(in.k), v(in.v), device_plan(plan.numbers), out(DType::f32, 4, 32), lse(DType::f32, 4, 2),
      half(DType::bf16, 4, 32), short_plan(std::vector<int32_t>{1});
  const auto run = [&](Tensor o, Tensor l, Tensor key, Tensor p, const HeadLayout& heads) {
    cuda::attention_pack(o, l, q.t(), key, v.t(), plan, p, heads, stream_);
  };
  EXPECT_NO_THROW(run(out.t(), lse.t(), k.t(), device_plan.t(), s.heads));
  EXPECT_THROW(run(half.t(), lse.t(), k.t(), device_plan.t(), s.heads), Error);
  EXPECT_THROW(run(out.t(), {}, k.t(), device_plan.t(), s.heads), Error);
  EXPECT_THROW(run(out.t(), lse.t(), q.t(), device_plan.t(), s.heads), Error);
  EXPECT_THROW(run(out.t(), lse.t(), k.t(), short_plan.t(), s.heads), Error);
  EXPECT_THROW(run(out.t(), lse.t(), k.t(), device_plan.t(), {2, 1, 16, 0, 0, 3}), Error) << "planned for another window";
  EXPECT_THROW(run(out.t(), lse.t(), k.t(), device_plan.t(), {2, 1, 16, 0, -1.0f}), Error) << "softcap";
  EXPECT_THROW(cuda::attention_cached(out.t(), q.t(), {k.t().data, v.t().data, 16, 256}, plan, device_plan.t(), s.heads, {},
                                      stream_),
               Error)
      << "a pack's plan";
  EXPECT_THROW(cuda::attention_pack_backward(half.t(), k.t(), v.t(), q.t(), out.t(), lse.t(), q.t(), k.t(), v.t(), plan,
                                             device_plan.t(), s.heads, lse.t(), stream_),
               Error);
  const Shape wide{{1, 1, 257}};
  const Inputs wide_in(wide, 4, 1);
  EXPECT_THROW(forward_on_device(wide, wide_in, runs), Error);
  synchronize();
}

}  // namespace
}  // namespace cohort
