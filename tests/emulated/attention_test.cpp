// Attention on the GPU against a twin in double, and its promise: a row's bits depend on its own prefix alone.
#include "model/cuda/attention.h"

#include "tests/emulated/gpu_test.h"
#include "tests/ops/attention_twin.h"

namespace cohort {
namespace {

// Each instantiation: two types, three head sizes; rows of D numbers that can be read eight at a time and others.
const std::vector<Shape> kInstantiations = {
    {{3, 1, 64}, DType::f32},        {{6, 2, 50, 0, 2.0f}, DType::bf16},   {{2, 1, 128, 0, 0, 70}, DType::f32},
    {{4, 1, 80, 0.1f}, DType::bf16}, {{1, 1, 256, 0, 3.0f}, DType::f32}, {{2, 2, 200, 0, 0, 33}, DType::bf16}};

class GpuAttention : public GpuOps {
 protected:
  Forward forward_on_device(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs) {
    const int64_t rows = in.q.rows;
    const cuda::AttentionPlan plan = cuda::pack_plan(runs, rows, s.heads);
    const DeviceMatrix q(in.q), k(in.k), v(in.v), device_plan(plan.numbers), out(s.dtype, rows, s.width()),
        lse(DType::f32, rows, s.heads.num_heads);
    cuda::attention_pack(out.t(), lse.t(), q.t(), k.t(), v.t(), plan, device_plan.t(), s.heads, stream_);
    synchronize();
    return {out.host(), lse.host()};
  }
  Gradients backward_on_device(const Shape& s, const Inputs& in, const Forward& f, const std::vector<PackRun>& runs) {
    const int64_t rows = in.q.rows;
    const cuda::AttentionPlan plan = cuda::pack_plan(runs, rows, s.heads);
    const DeviceMatrix q(in.q), k(in.k), v(in.v), dout(in.dout), out(f.out), lse(f.lse), device_plan(plan.numbers),
        dq(DType::f32, rows, s.width()), dk(DType::f32, rows, s.kv_width()), dv(DType::f32, rows, s.kv_width()),
        delta(DType::f32, rows, s.heads.num_heads);
    cuda::attention_pack_backward(dq.t(), dk.t(), dv.t(), dout.t(), out.t(), lse.t(), q.t(), k.t(), v.t(), plan,
                                  device_plan.t(), s.heads, delta.t(), stream_);
    synchronize();
    return {dq.host(), dk.host(), dv.host()};
  }
  void expect_twin(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs, const Forward& f, const Gradients& g) {
    Twin twin(s, in, runs);
    twin.run_forward();
    const double rounding = s.dtype == DType::bf16 ? kEps16 : 0;
    expect_near(f.out, twin.out, 64 * kEps32 + rounding, "out", s.dtype == DType::bf16 ? rms(twin.v) : 0);
    expect_near(f.lse, twin.lse, 32 * kEps32, "lse");
    twin.run_backward(doubles(in.dout));
    const double tolerance = 128 * kEps32 + (s.dtype == DType::bf16 ? 8 * kEps16 : 0);
    expect_near(g.dq, twin.dq, tolerance, "dq", twin.dq_size);
    expect_near(g.dk, twin.dk, tolerance, "dk", twin.dk_size);
    expect_near(g.dv, twin.dv, 128 * kEps32, "dv");
  }
};

// Keys and values of sequences in pages of the device, in a random order; what is not theirs is NaN.
class DevicePages {
 public:
  // Sequence i begins with `shared[i].second` keys of sequence `shared[i].first` < i: whole pages of them are the same.
  DevicePages(const Shape& s, const std::vector<const Inputs*>& sequences, int64_t page_tokens, cudaStream_t stream,
              const std::vector<std::pair<size_t, int64_t>>& shared = {})
      : page_tokens_(page_tokens),
        page_numbers_(s.heads.num_kv_heads * page_tokens * cached_head_size(s.heads.head_size)),
        keys_(s.dtype, page_count(sequences, page_tokens), page_numbers_),
        values_(s.dtype, page_count(sequences, page_tokens), page_numbers_) {
    std::vector<int32_t> free;
    for (int32_t i = 0; i < keys_.t().rows(); ++i) free.push_back(i);
    Random random(static_cast<uint64_t>(page_tokens), Stream::kTest);
    for (size_t i = free.size(); i > 1; --i) std::swap(free[i - 1], free[random.below(static_cast<uint32_t>(i))]);
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int64_t count = sequences[i]->k.rows;
      std::vector<int32_t>& pages = of.emplace_back();
      if (i < shared.size()) {
        const std::vector<int32_t>& other = of[shared[i].first];
        pages.assign(other.begin(), other.begin() + shared[i].second / page_tokens);
      }
      const int64_t first = static_cast<int64_t>(pages.size()) * page_tokens;
      while (static_cast<int64_t>(pages.size()) * page_tokens < count) pages.push_back(free.back()), free.pop_back();
      if (first >= count) continue;
      const CachedRun rest{first, count - first, first, pages};
      const cuda::AttentionPlan plan = cuda::cached_plan({&rest, 1}, count, page_tokens, s.heads);
      const DeviceMatrix k(sequences[i]->k), v(sequences[i]->v), device_plan(plan.numbers);
      cuda::store_cached(view(), k.t(), v.t(), plan, device_plan.t(), s.heads, stream);
      cuda::check_status(cudaStreamSynchronize(stream), "wait for the stream");
    }
  }
  KeyPages view() const { return {keys_.t().data, values_.t().data, page_tokens_, page_numbers_}; }
  std::vector<std::vector<int32_t>> of;  // of each sequence

 private:
  static int64_t page_count(const std::vector<const Inputs*>& sequences, int64_t page_tokens) {
    int64_t count = 0;
    for (const Inputs* in : sequences) count += (in->k.rows + page_tokens - 1) / page_tokens;
    return count;
  }
  int64_t page_tokens_, page_numbers_;
  DeviceMatrix keys_, values_;
};

class GpuCachedAttention : public GpuAttention {
 protected:
  struct Attended {
    Matrix out, lse;
    cuda::AttentionPlan plan;
  };
  Attended attend(const Shape& s, const Matrix& q, const DevicePages& pages, const std::vector<CachedRun>& runs) {
    const cuda::AttentionPlan plan = cuda::cached_plan(runs, q.rows, pages.view().page_tokens, s.heads);
    const DeviceMatrix device_q(q), device_plan(plan.numbers), out(s.dtype, q.rows, s.width()),
        lse(DType::f32, q.rows, s.heads.num_heads),
        scratch(DType::f32, 1, std::max<int64_t>(1, cuda::attention_cached_scratch(plan, s.heads)));
    cuda::attention_cached(out.t(), device_q.t(), pages.view(), plan, device_plan.t(), s.heads, scratch.t(), stream_, lse.t());
    synchronize();
    return {out.host(), lse.host(), plan};
  }
};

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
    std::vector<Inputs> alone;  // each run as a sequence
    std::vector<std::pair<size_t, int64_t>> shared;
    std::vector<int64_t> last_rows;
    std::vector<const Inputs*> sequences;
    alone.reserve(runs.size());
    for (size_t r = 0; r < runs.size(); ++r) {
      std::vector<int64_t> rows;
      for (int64_t i = 0; i < runs[r].prefix_count; ++i) rows.push_back(runs[r].prefix_begin + i);
      for (int64_t i = 0; i < runs[r].count; ++i) rows.push_back(runs[r].begin + i);
      Inputs& own = alone.emplace_back(s, 1, 0);
      own.q = in.q.take(rows), own.k = in.k.take(rows), own.v = in.v.take(rows);
      size_t prompt = r;
      while (runs[prompt].prefix_count > 0) --prompt;
      shared.emplace_back(prompt, runs[r].prefix_count);
      last_rows.push_back(rows.back());
      sequences.push_back(&own);
    }
    for (int64_t page_tokens : {16, 64, 128}) {
      const DevicePages pages(s, sequences, page_tokens, stream_, shared);
      std::vector<CachedRun> last;
      for (size_t r = 0; r < runs.size(); ++r)
        last.push_back({static_cast<int64_t>(r), 1, alone[r].k.rows - 1, pages.of[r]});
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
        const Attended one = attend(s, in.q.take({last_rows[r]}), pages, {{0, 1, alone[r].k.rows - 1, pages.of[r]}});
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
