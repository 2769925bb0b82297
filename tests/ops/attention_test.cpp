// Attention against a twin in double, its gradients against finite differences, and the promise of equal bits.
#include "model/ops/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/rng.h"
#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

struct Shape {
  HeadLayout heads;
  DType dtype = DType::f32;
  int64_t width() const { return heads.num_heads * heads.head_size; }
  int64_t kv_width() const { return heads.num_kv_heads * heads.head_size; }
  std::string name() const {
    return fmt::format("{} heads on {}, D {}, {}", heads.num_heads, heads.num_kv_heads, heads.head_size,
                       dtype_name(dtype));
  }
};

const std::vector<Shape> kShapes = {{{3, 1, 64}, DType::f32},   {{9, 3, 64}, DType::bf16}, {{2, 2, 16}, DType::f32},
                                    {{8, 1, 128}, DType::bf16}, {{4, 4, 80}, DType::bf16}, {{16, 2, 20}, DType::f32},
                                    {{3, 3, 50}, DType::bf16},  {{60, 1, 16}, DType::f32}};

// Pack rows of groups: a prompt and its completions, each completion's keys beginning with the prompt.
std::vector<PackRun> group_runs(std::initializer_list<std::vector<int64_t>> groups) {
  std::vector<PackRun> runs;
  int64_t at = 0;
  for (const std::vector<int64_t>& group : groups) {
    const int64_t prompt = at;
    for (size_t i = 0; i < group.size(); ++i) {
      runs.push_back({at, group[i], prompt, i == 0 ? 0 : group[0]});
      at += group[i];
    }
  }
  return runs;
}

int64_t rows_of(const std::vector<PackRun>& runs) { return runs.empty() ? 0 : runs.back().begin + runs.back().count; }

struct Inputs {
  Matrix q, k, v, dout;
  Inputs(const Shape& s, int64_t rows, uint64_t seed)
      : q(Matrix::random(s.dtype, rows, s.width(), seed)),
        k(Matrix::random(s.dtype, rows, s.kv_width(), seed + 1)),
        v(Matrix::random(s.dtype, rows, s.kv_width(), seed + 2)),
        dout(Matrix::random(s.dtype, rows, s.width(), seed + 3)) {}
};

struct Forward {
  Matrix out, lse;
};
Forward forward(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs, int threads = 1) {
  ExecOwner owner(threads);
  Forward f{Matrix(s.dtype, in.q.rows, s.width()), Matrix(DType::f32, in.q.rows, s.heads.num_heads)};
  attention_pack(f.out.t(), f.lse.t(), in.q.t(), in.k.t(), in.v.t(), runs, s.heads, owner.exec());
  return f;
}

struct Gradients {
  Matrix dq, dk, dv;
};
Gradients backward(const Shape& s, const Inputs& in, const Forward& f, const std::vector<PackRun>& runs,
                   int threads = 1) {
  ExecOwner owner(threads);
  const int64_t rows = in.q.rows;
  Gradients g{Matrix(DType::f32, rows, s.width()), Matrix(DType::f32, rows, s.kv_width()),
              Matrix(DType::f32, rows, s.kv_width())};
  for (Matrix* m : {&g.dq, &g.dk, &g.dv}) m->fill(std::numeric_limits<float>::quiet_NaN());  // must be overwritten
  attention_pack_backward(g.dq.t(), g.dk.t(), g.dv.t(), in.dout.t(), f.out.t(), f.lse.t(), in.q.t(), in.k.t(), in.v.t(),
                          runs, s.heads, owner.exec());
  return g;
}

// --- the slow twin, in double --------------------------------------------------------------------------------------
using Doubles = std::vector<double>;
Doubles doubles(const Matrix& m) {
  Doubles d(static_cast<size_t>(m.rows * m.cols));
  for (size_t i = 0; i < d.size(); ++i) d[i] = m.get(static_cast<int64_t>(i));
  return d;
}

struct Twin {
  int64_t H, D, group, kv_width;
  std::vector<PackRun> runs;
  Doubles q, k, v;
  Doubles out, lse, dq, dk, dv;

  Twin(const Shape& s, const Inputs& in, const std::vector<PackRun>& runs) : runs(runs) {
    H = s.heads.num_heads, D = s.heads.head_size, group = H / s.heads.num_kv_heads, kv_width = s.kv_width();
    q = doubles(in.q), k = doubles(in.k), v = doubles(in.v);
    out.resize(q.size()), lse.resize(static_cast<size_t>(in.q.rows * H));
  }

  // Calls visit(row, head, keys, p) for every row and head with its attention probabilities.
  template <typename Visit>
  void each_row(const Visit& visit) {
    for (const PackRun& run : runs) {
      for (int64_t row = run.begin; row < run.begin + run.count; ++row) {
        std::vector<int64_t> keys;
        for (int64_t j = 0; j < run.prefix_count; ++j) keys.push_back(run.prefix_begin + j);
        for (int64_t j = run.begin; j <= row; ++j) keys.push_back(j);
        for (int64_t h = 0; h < H; ++h) {
          Doubles p(keys.size());
          double largest = -1e300, total = 0;
          for (size_t j = 0; j < keys.size(); ++j) {
            for (int64_t d = 0; d < D; ++d)
              p[j] += q[row * H * D + h * D + d] * k[keys[j] * kv_width + h / group * D + d] / std::sqrt(double(D));
            largest = std::max(largest, p[j]);
          }
          for (double& x : p) total += x = std::exp(x - largest);
          for (double& x : p) x /= total;
          lse[row * H + h] = largest + std::log(total);
          visit(row, h, keys, p);
        }
      }
    }
  }

  void run_forward() {
    std::fill(out.begin(), out.end(), 0.0);
    each_row([&](int64_t row, int64_t h, const std::vector<int64_t>& keys, const Doubles& p) {
      for (size_t j = 0; j < keys.size(); ++j)
        for (int64_t d = 0; d < D; ++d)
          out[row * H * D + h * D + d] += p[j] * v[keys[j] * kv_width + h / group * D + d];
    });
  }

  void run_backward(const Doubles& dout) {
    const double scale = 1 / std::sqrt(double(D));
    dq.assign(q.size(), 0), dk.assign(k.size(), 0), dv.assign(v.size(), 0);
    each_row([&](int64_t row, int64_t h, const std::vector<int64_t>& keys, const Doubles& p) {
      const int64_t at = row * H * D + h * D;
      Doubles dp(keys.size());
      double delta = 0;
      for (size_t j = 0; j < keys.size(); ++j) {
        for (int64_t d = 0; d < D; ++d) dp[j] += dout[at + d] * v[keys[j] * kv_width + h / group * D + d];
        delta += p[j] * dp[j];
      }
      for (size_t j = 0; j < keys.size(); ++j) {
        const int64_t key = keys[j] * kv_width + h / group * D;
        const double ds = p[j] * (dp[j] - delta) * scale;
        for (int64_t d = 0; d < D; ++d) {
          dq[at + d] += ds * k[key + d];
          dk[key + d] += ds * q[at + d];
          dv[key + d] += p[j] * dout[at + d];
        }
      }
    });
  }
};

double rms(const Doubles& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return std::sqrt(sum / static_cast<double>(std::max<size_t>(1, x.size())));
}

// Largest difference, against `tolerance` times (the size of the element + the root mean square of all).
void expect_near(const Matrix& m, const Doubles& wanted, double tolerance, const std::string& what) {
  const double size = rms(wanted);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double got = m.get(static_cast<int64_t>(i));
    ASSERT_LE(std::abs(got - wanted[i]), tolerance * (std::abs(wanted[i]) + size))
        << what << " element " << i << ": " << got << " for " << wanted[i];
  }
}

TEST(Attention, ForwardAndBackwardMatchTheTwin) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33, 64, 40}, {5, 3}, {130}, {64, 64, 17}});
  for (const Shape& s : kShapes) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 11);
    const Forward f = forward(s, in, runs);
    Twin twin(s, in, runs);
    twin.run_forward();
    // f32: some 200 rounded terms; bf16 rounds the output once.
    const double rounding = s.dtype == DType::bf16 ? 0.5 * kEps16 : 0;
    expect_near(f.out, twin.out, 32 * kEps32 + rounding, "out");
    expect_near(f.lse, twin.lse, 16 * kEps32, "lse");

    const Gradients g = backward(s, in, f, runs);
    twin.run_backward(doubles(in.dout));
    // delta is made of the rounded output: its error is eps times the norm of a row of dout times out.
    const double tolerance = 64 * kEps32 + (s.dtype == DType::bf16 ? 8 * kEps16 : 0);
    expect_near(g.dq, twin.dq, tolerance, "dq");
    expect_near(g.dk, twin.dk, tolerance, "dk");
    expect_near(g.dv, twin.dv, 64 * kEps32, "dv");
  }
}

TEST(Attention, LongRunsAreCutIntoUnitsWithoutATrace) {
  const Shape s{{6, 2, 16}};  // units of 256 positions
  const std::vector<PackRun> runs = group_runs({{600, 40, 300}, {30, 20, 25, 18, 40, 80, 100, 7}});
  const Inputs in(s, rows_of(runs), 5);
  const Forward f = forward(s, in, runs);
  const Gradients g = backward(s, in, f, runs);
  Twin twin(s, in, runs);
  twin.run_forward();
  twin.run_backward(doubles(in.dout));
  expect_near(f.out, twin.out, 32 * kEps32, "out");
  expect_near(g.dq, twin.dq, 64 * kEps32, "dq");
  expect_near(g.dk, twin.dk, 128 * kEps32, "dk");
  expect_near(g.dv, twin.dv, 128 * kEps32, "dv");
}

TEST(Attention, BackwardIsTheDerivative) {
  // Central differences of sum(dout * out) in the twin, element by element, several runs on shared prompts.
  const std::vector<PackRun> runs = group_runs({{7, 4, 5}, {3}, {2, 6, 1}});
  for (const Shape& s : {Shape{{3, 1, 16}}, Shape{{2, 2, 10}}}) {
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

// --- equal bits ----------------------------------------------------------------------------------------------------

// Attends rows [first, first + count) of one sequence whose keys lie in a cache of their own.
Matrix cached(const Shape& s, const Inputs& in, const std::vector<int64_t>& chunks, int threads = 1) {
  ExecOwner owner(threads);
  Matrix out(s.dtype, in.q.rows, s.width());
  int64_t at = 0;
  for (int64_t count : chunks) {
    const CachedRun run{0, count, at, in.k.t().data, in.v.t().data};
    attention_cached(out.t().slice_rows(at, count), in.q.t().slice_rows(at, count), {&run, 1}, s.heads, owner.exec());
    at += count;
  }
  EXPECT_EQ(at, in.q.rows);
  return out;
}

TEST(Attention, AnyChunkingGivesTheSameBits) {
  Random random(7, Stream::kTest);
  for (const Shape& s : kShapes) {
    SCOPED_TRACE(s.name());
    const int64_t rows = 150;
    const Inputs in(s, rows, 31);
    const Matrix whole = cached(s, in, {rows});
    EXPECT_TRUE(cached(s, in, std::vector<int64_t>(rows, 1)) == whole) << "one token at a time";
    std::vector<int64_t> chunks;
    for (int64_t left = rows; left > 0; left -= chunks.back())
      chunks.push_back(std::min<int64_t>(left, random.between(1, 40)));
    EXPECT_TRUE(cached(s, in, chunks) == whole) << "random chunks, seed 7";
    EXPECT_TRUE(forward(s, in, {{0, rows, 0, 0}}).out == whole) << "the training pack";
  }
}

// A pack's rows as sequences of their own: prompt rows and then the run's.
std::vector<int64_t> sequence_rows(const PackRun& run) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < run.prefix_count; ++i) rows.push_back(run.prefix_begin + i);
  for (int64_t i = 0; i < run.count; ++i) rows.push_back(run.begin + i);
  return rows;
}

TEST(Attention, ARowIsTheSameAloneInAPackAndInABatchOfSequences) {
  const std::vector<PackRun> runs = group_runs({{70, 1, 33, 64, 40}, {5, 3}, {130}, {63, 65, 17}});
  for (const Shape& s : kShapes) {
    SCOPED_TRACE(s.name());
    const Inputs in(s, rows_of(runs), 41);
    const Forward pack = forward(s, in, runs);
    std::vector<Inputs> alone;  // each run as a sequence
    std::vector<CachedRun> last;
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
      last.push_back({static_cast<int64_t>(r), 1, count - 1, own.k.t().data, own.v.t().data});
    }
    // The last tokens of all sequences in one decode step, on few threads (whole key rows) and on many (head by head).
    for (int threads : {1, 2, 8}) {
      ExecOwner owner(threads);
      Matrix out(s.dtype, last_q.rows, s.width());
      attention_cached(out.t(), last_q.t(), last, s.heads, owner.exec());
      for (size_t r = 0; r < runs.size(); ++r)
        ASSERT_EQ(out.row_bytes(static_cast<int64_t>(r)), pack.out.row_bytes(runs[r].begin + runs[r].count - 1))
            << "decode, sequence " << r << ", " << threads << " threads";
    }
  }
}

TEST(Attention, ThreadsDoNotChangeBits) {
  const std::vector<PackRun> runs = group_runs({{90, 20, 33, 70, 1, 40}, {200, 3}, {300}});
  for (const Shape& s : {kShapes[0], kShapes[1], kShapes[3], kShapes[5]}) {
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

TEST(Attention, LaterRowsCannotReachARow) {
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

TEST(Attention, HugeScoresStayFinite) {
  const Shape s{{2, 1, 16}};
  Inputs in(s, 40, 71);
  for (int64_t i = 0; i < 40 * s.width(); ++i) in.q.set(i, in.q.get(i) * 1e4f);
  const Forward f = forward(s, in, {{0, 40, 0, 0}});
  const Gradients g = backward(s, in, f, {{0, 40, 0, 0}});
  for (const Matrix* m : {&f.out, &f.lse, &g.dq, &g.dk, &g.dv})
    for (int64_t i = 0; i < m->rows * m->cols; ++i) ASSERT_TRUE(std::isfinite(m->get(i)));
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
  const std::vector<CachedRun> no_keys = {{0, 4, 0, nullptr, in.v.t().data}};
  EXPECT_THROW(attention_cached(out.t(), in.q.t(), no_keys, s.heads, owner.exec()), Error);
  const std::vector<CachedRun> too_many = {{0, 5, 0, in.k.t().data, in.v.t().data}};
  EXPECT_THROW(attention_cached(out.t(), in.q.t(), too_many, s.heads, owner.exec()), Error);
}

}  // namespace
}  // namespace cohort
