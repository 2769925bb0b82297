// Attention against a twin in double, its gradients against finite differences, and what it refuses.
#include <gtest/gtest.h>

#include "tests/ops/attention_twin.h"

namespace cohort {
namespace {

TEST(Attention, ForwardAndBackwardMatchTheTwin) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33, 64, 40}, {5, 3}, {130}, {64, 64, 17}});
  for (const Shape& s : all_shapes()) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 11);
    const Forward f = forward(s, in, runs);
    Twin twin(s, in, runs);
    twin.run_forward();
    // f32: some 200 rounded terms; bf16 rounds the output and, before the values cancel each other, the weights.
    const double rounding = s.dtype == DType::bf16 ? kEps16 : 0;
    expect_near(f.out, twin.out, 32 * kEps32 + rounding, "out", s.dtype == DType::bf16 ? rms(twin.v) : 0);
    expect_near(f.lse, twin.lse, 16 * kEps32, "lse");

    const Gradients g = backward(s, in, f, runs);
    twin.run_backward(doubles(in.dout));
    // delta is made of the rounded output: its error is eps times the norm of a row of dout times out.
    const double tolerance = 64 * kEps32 + (s.dtype == DType::bf16 ? 8 * kEps16 : 0);
    expect_near(g.dq, twin.dq, tolerance, "dq", twin.dq_size);
    expect_near(g.dk, twin.dk, tolerance, "dk", twin.dk_size);
    expect_near(g.dv, twin.dv, 128 * kEps32 + dv_rounding(s), "dv", dv_rounding(s) > 0 ? twin.dv_size : 0);
  }
}

TEST(Attention, LongRunsAreCutIntoUnitsWithoutATrace) {
  const std::vector<PackRun> runs = group_runs({{600, 40, 300}, {30, 20, 25, 18, 40, 80, 100, 7}});
  // units of 256 positions
  for (const Shape& s : {Shape{{6, 2, 16}}, Shape{{6, 2, 16, 0, 0, 20}}, Shape{{6, 2, 16, 0.3f, 4.0f, 64}},
                         Shape{{6, 2, 16, 0, 2.0f, 300}}}) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 5);
    const Forward f = forward(s, in, runs);
    const Gradients g = backward(s, in, f, runs);
    Twin twin(s, in, runs);
    twin.run_forward();
    twin.run_backward(doubles(in.dout));
    expect_near(f.out, twin.out, 32 * kEps32, "out");
    expect_near(g.dq, twin.dq, 64 * kEps32, "dq", twin.dq_size);
    expect_near(g.dk, twin.dk, 128 * kEps32, "dk", twin.dk_size);
    expect_near(g.dv, twin.dv, 128 * kEps32, "dv");
  }
}

TEST(Attention, BackwardIsTheDerivative) {
  // Central differences of sum(dout * out) in the twin, element by element, several runs on shared prompts.
  const std::vector<PackRun> runs = group_runs({{7, 4, 5}, {3}, {2, 6, 1}});
  for (const Shape& s :
       {Shape{{3, 1, 16}}, Shape{{2, 2, 10}}, Shape{{3, 1, 16, 0.4f, 0.9f, 3}}, Shape{{2, 2, 10, 0, 1.5f}},
        Shape{{4, 2, 10, 0.2f, 0, 5}}, Shape{{2, 1, 8, 0, 2.0f, 1}}, Shape{{2, 1, 8, 0, 0, 9}}}) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 23);
    const Gradients g = backward(s, in, forward(s, in, runs), runs);
    const Doubles dout = doubles(in.dout);
    Twin twin(s, in, runs);
    const auto loss = [&] {
      twin.run_forward();
      double sum = 0;
      for (size_t i = 0; i < dout.size(); ++i) sum += dout[i] * twin.out[i];
      return sum;
    };
    const auto check = [&](Doubles& x, const Matrix& gradient, const char* name) {
      for (size_t i = 0; i < x.size(); ++i) {
        constexpr double kStep = 1e-5;
        const double kept = x[i];
        x[i] = kept + kStep;
        const double up = loss();
        x[i] = kept - kStep;
        const double down = loss();
        x[i] = kept;
        ASSERT_NEAR(gradient.get(static_cast<int64_t>(i)), (up - down) / (2 * kStep), 1e-5) << name << " element " << i;
      }
    };
    check(twin.q, g.dq, "dq");
    check(twin.k, g.dk, "dk");
    check(twin.v, g.dv, "dv");
  }
}

TEST(Attention, HugeScoresStayFinite) {
  for (const Shape& s : {Shape{{2, 1, 16}}, Shape{{2, 1, 16, 0, 50.0f, 7}}}) {
    SCOPED_TRACE(s.name());
    Inputs in(s, 40, 71);
    for (int64_t i = 0; i < 40 * s.width(); ++i) in.q.set(i, in.q.get(i) * 1e4f);
    const Forward f = forward(s, in, {{0, 40, 0, 0}});
    const Gradients g = backward(s, in, f, {{0, 40, 0, 0}});
    for (const Matrix* m : {&f.out, &f.lse, &g.dq, &g.dk, &g.dv})
      for (int64_t i = 0; i < m->rows * m->cols; ++i) ASSERT_TRUE(std::isfinite(m->get(i)));
    if (s.heads.softcap == 0) continue;
    for (int64_t i = 0; i < f.lse.rows * f.lse.cols; ++i)  // of at most 7 scores, each at most the cap
      ASSERT_LE(std::abs(f.lse.get(i)), (s.heads.softcap + std::log(7.0f)) * (1 + 4 * kEps32));
  }
}

TEST(Attention, RowsOfNoRunGetNoGradient) {
  const Shape s{{2, 1, 16}};
  const std::vector<PackRun> runs = {{2, 10, 0, 0}};
  const Inputs in(s, 15, 81);
  const Gradients g = backward(s, in, forward(s, in, runs), runs);
  for (int64_t row : {0, 1, 12, 14})
    for (const Matrix* m : {&g.dq, &g.dk, &g.dv})
      for (int64_t d = 0; d < m->cols; ++d) ASSERT_EQ(m->at(row, d), 0.0f) << row;
}

void expect_error(const Shape& s, const std::vector<PackRun>& runs, int64_t rows, const std::string& part) {
  const Inputs in(s, rows, 1);
  ExitCode code = ExitCode::kOk;
  const std::string message = message_of([&] { forward(s, in, runs); }, code);
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(code, ExitCode::kInternal);
}

TEST(Attention, RefusesImpossibleHeadsAndRuns) {
  expect_error({{4, 3, 16}}, {{0, 4, 0, 0}}, 4, "4 heads on 3 kv heads");
  expect_error({{1, 1, 257}}, {{0, 4, 0, 0}}, 4, "head size 257; allowed are 1 to 256");
  expect_error({{1, 1, 16, -1.0f}}, {{0, 4, 0, 0}}, 4, "scores scaled by -1; must be positive, or 0 for 1 / sqrt");
  expect_error({{1, 1, 16, NAN}}, {{0, 4, 0, 0}}, 4, "scores scaled by nan");
  expect_error({{1, 1, 16, 0, -50.0f}}, {{0, 4, 0, 0}}, 4, "softcap -50; must be positive, or 0 for none");
  expect_error({{1, 1, 16, 0, INFINITY}}, {{0, 4, 0, 0}}, 4, "softcap inf");
  expect_error({{1, 1, 16, 0, 0, -1}}, {{0, 4, 0, 0}}, 4, "a window of -1 keys; must be positive, or 0 for none");
  expect_error({{1, 1, 16}}, {{0, 5, 0, 0}}, 4, "rows [0, 5) after row 0 in a pack of 4");
  expect_error({{1, 1, 16}}, {{0, 3, 0, 0}, {2, 2, 0, 0}}, 4, "runs must ascend");
  expect_error({{1, 1, 16}}, {{0, 2, 0, 0}, {2, 2, 1, 2}}, 4, "prefix rows [1, 3) of a run that begins at 2");

  const Shape s{{1, 1, 16}};
  const Inputs in(s, 4, 1);
  ExecOwner owner(1);
  Matrix out(DType::f32, 4, 16), wrong(DType::bf16, 4, 16), lse(DType::f32, 4, 1);
  const std::vector<PackRun> runs = {{0, 4, 0, 0}};
  EXPECT_THROW(attention_pack(wrong.t(), lse.t(), in.q.t(), in.k.t(), in.v.t(), runs, s.heads, owner.exec()), Error);
  EXPECT_THROW(attention_pack(out.t(), lse.t(), in.q.t(), wrong.t(), in.v.t(), runs, s.heads, owner.exec()), Error);
  const Pages pages(s, {&in}, 16);
  const auto attend = [&](const KeyPages& cache, const CachedRun& run) {
    attention_cached(out.t(), in.q.t(), cache, {&run, 1}, s.heads, owner.exec());
  };
  EXPECT_NO_THROW(attend(pages.view(), {0, 4, 0, pages.of[0]}));
  EXPECT_THROW(attend({nullptr, pages.view().values, 16, 256}, {0, 4, 0, pages.of[0]}), Error);
  EXPECT_THROW(attend({pages.view().keys, pages.view().values, 48, 768}, {0, 4, 0, pages.of[0]}), Error) << "no power of two";
  EXPECT_THROW(attend({pages.view().keys, pages.view().values, 8, 128}, {0, 4, 0, pages.of[0]}), Error) << "half a group";
  EXPECT_THROW(attend(pages.view(), {0, 5, 0, pages.of[0]}), Error) << "more rows than queries";
  EXPECT_THROW(attend(pages.view(), {0, 4, 13, pages.of[0]}), Error) << "more positions than pages";
}

}  // namespace
}  // namespace cohort
