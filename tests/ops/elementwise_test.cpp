// The ops on rows against twins in double, their gradients against finite differences, and the promise of equal bits.
#include "model/ops/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "core/rng.h"
#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::bf16};
constexpr int64_t kWidths[] = {1, 16, 50, 64, 576, 1000};

// Half a unit in the last place of the storage, on top of `ulps` of f32 arithmetic.
double tolerance(DType dtype, double ulps) { return ulps * kEps32 + (dtype == DType::bf16 ? 0.5 * kEps16 : 0); }

void expect_near(const Matrix& m, const std::function<double(int64_t, int64_t)>& wanted, double tolerance,
                 double floor = 0) {
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t c = 0; c < m.cols; ++c)
      ASSERT_NEAR(m.at(r, c), wanted(r, c), tolerance * (std::abs(wanted(r, c)) + floor))
          << "row " << r << " column " << c;
}

std::vector<int32_t> random_ids(int64_t n, int64_t limit, uint64_t seed) {
  Random random(seed, Stream::kTest);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.between(0, limit - 1));
  return ids;
}

// Central difference of loss() in *x; the step is a power of two so that x + step - x is the step.
double derivative(const std::function<double()>& loss, Matrix& x, int64_t i, float step = 0x1p-7f) {
  const float kept = x.get(i);
  x.set(i, kept + step);
  const double up = loss();
  const double moved = static_cast<double>(x.get(i));
  x.set(i, kept - step);
  const double down = loss();
  const double width = moved - static_cast<double>(x.get(i));
  x.set(i, kept);
  return (up - down) / width;
}

double dot(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.rows * a.cols; ++i) sum += static_cast<double>(a.get(i)) * b.get(i);
  return sum;
}

class Elementwise : public testing::Test {
 protected:
  ExecOwner owner_{2};
  Exec ex_ = owner_.exec();
};

TEST_F(Elementwise, EmbeddingCopiesRowsAndItsGradientAddsThemUp) {
  for (DType dtype : kTypes) {
    const Matrix table = Matrix::random(dtype, 20, 50, 1);
    const std::vector<int32_t> tokens = random_ids(33, 20, 2);
    Matrix x(DType::f32, 33, 50);
    embedding(x.t(), tokens, table.t(), ex_);
    expect_near(
        x, [&](int64_t t, int64_t c) { return table.at(tokens[t], c); }, 0);

    Matrix dtable = Matrix::random(DType::f32, 20, 50, 3);
    const Matrix before = dtable, dx = Matrix::random(DType::f32, 33, 50, 4);
    embedding_backward(dtable.t(), dx.t(), tokens, ex_);
    expect_near(
        dtable,
        [&](int64_t id, int64_t c) {
          float sum = before.at(id, c);  // in the order of t: equal bits
          for (int64_t t = 0; t < 33; ++t)
            if (tokens[t] == id) sum += dx.at(t, c);
          return sum;
        },
        0);
  }
}

TEST_F(Elementwise, EmbeddingGradientIsTheDerivative) {
  Matrix table = Matrix::random(DType::f32, 5, 10, 1);
  const std::vector<int32_t> tokens = {3, 1, 3, 0};
  const Matrix dx = Matrix::random(DType::f32, 4, 10, 2);
  Matrix x(DType::f32, 4, 10), dtable(DType::f32, 5, 10);
  embedding_backward(dtable.t(), dx.t(), tokens, ex_);
  for (int64_t i = 0; i < 50; ++i)
    EXPECT_NEAR(dtable.get(i),
                derivative([&] { return embedding(x.t(), tokens, table.t(), ex_), dot(x, dx); }, table, i), 1e-4);
}

TEST_F(Elementwise, RmsnormMatchesTheTwin) {
  for (DType dtype : kTypes) {
    for (int64_t C : kWidths) {
      const Matrix x = Matrix::random(DType::f32, 37, C, 1), gain = Matrix::random(dtype, 1, C, 2);
      Matrix y(dtype, 37, C), rstd(DType::f32, 37, 1);
      rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), 1e-5f, ex_);
      std::vector<double> scale;
      for (int64_t t = 0; t < 37; ++t) {
        double squares = 0;
        for (int64_t c = 0; c < C; ++c) squares += static_cast<double>(x.at(t, c)) * x.at(t, c);
        scale.push_back(1 / std::sqrt(squares / static_cast<double>(C) + 1e-5f));
      }
      expect_near(
          rstd, [&](int64_t t, int64_t) { return scale[t]; }, 8 * kEps32);
      expect_near(
          y, [&](int64_t t, int64_t c) { return x.at(t, c) * scale[t] * gain.at(0, c); }, tolerance(dtype, 8));
      Matrix without(dtype, 37, C);
      rmsnorm(without.t(), {}, x.t(), gain.t(), 1e-5f, ex_);
      EXPECT_TRUE(without == y) << "without rstd";
    }
  }
}

TEST_F(Elementwise, RmsnormGradientIsTheDerivative) {
  Matrix x = Matrix::random(DType::f32, 3, 22, 1), gain = Matrix::random(DType::f32, 1, 22, 2);
  const Matrix dy = Matrix::random(DType::f32, 3, 22, 3);
  Matrix y(DType::f32, 3, 22), rstd(DType::f32, 3, 1);
  const auto loss = [&] { return rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), 1e-5f, ex_), dot(y, dy); };
  loss();
  Matrix dx = Matrix::random(DType::f32, 3, 22, 4), dgain = Matrix::random(DType::f32, 1, 22, 5);
  const Matrix dx_before = dx, dgain_before = dgain;  // gradients are added to
  rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), ex_);
  for (int64_t i = 0; i < 3 * 22; ++i) EXPECT_NEAR(dx.get(i) - dx_before.get(i), derivative(loss, x, i), 5e-4);
  for (int64_t i = 0; i < 22; ++i) EXPECT_NEAR(dgain.get(i) - dgain_before.get(i), derivative(loss, gain, i), 5e-4);
}

TEST_F(Elementwise, RmsnormGradientMatchesTheTwin) {
  for (DType dtype : kTypes) {
    for (int64_t C : kWidths) {
      const int64_t T = 70;
      const Matrix x = Matrix::random(DType::f32, T, C, 1), gain = Matrix::random(dtype, 1, C, 2),
                   dy = Matrix::random(DType::f32, T, C, 3);
      Matrix y(dtype, T, C), rstd(DType::f32, T, 1), dx(DType::f32, T, C), dgain(DType::f32, 1, C);
      rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), 1e-5f, ex_);
      rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), ex_);
      const auto mean = [&](int64_t t) {
        double sum = 0;
        for (int64_t c = 0; c < C; ++c)
          sum += static_cast<double>(gain.at(0, c)) * dy.at(t, c) * x.at(t, c) * rstd.at(t, 0);
        return sum / static_cast<double>(C);
      };
      std::vector<double> means;
      for (int64_t t = 0; t < T; ++t) means.push_back(mean(t));
      expect_near(
          dx,
          [&](int64_t t, int64_t c) {
            const double r = rstd.at(t, 0);
            return r *
                   (static_cast<double>(gain.at(0, c)) * dy.at(t, c) - x.at(t, c) * r * means[static_cast<size_t>(t)]);
          },
          16 * kEps32, 10);  // C = 1 cancels all but eps; rows of one column have a large rstd
      expect_near(
          dgain,
          [&](int64_t, int64_t c) {
            double sum = 0;
            for (int64_t t = 0; t < T; ++t) sum += static_cast<double>(dy.at(t, c)) * x.at(t, c) * rstd.at(t, 0);
            return sum;
          },
          16 * kEps32, std::sqrt(T));
    }
  }
}

TEST_F(Elementwise, SwigluMatchesTheTwinAlsoFarOut) {
  const auto sigmoid = [](double z) { return 1 / (1 + std::exp(-z)); };
  for (DType dtype : kTypes) {
    for (int64_t F : kWidths) {
      Matrix gate_up = Matrix::random(dtype, 9, 2 * F, 1, 4.0f);
      gate_up.set(0, 200.0f);  // exp(-z) runs out of range on both sides
      gate_up.set(2 * F, -200.0f);
      const Matrix dy = Matrix::random(dtype, 9, F, 2);
      Matrix y(dtype, 9, F), dgate_up(dtype, 9, 2 * F);
      swiglu(y.t(), gate_up.t(), ex_);
      expect_near(
          y,
          [&](int64_t t, int64_t f) {
            const double g = gate_up.at(t, f);
            return g * sigmoid(g) * gate_up.at(t, F + f);
          },
          tolerance(dtype, 8), 1e-30);
      swiglu_backward(dgate_up.t(), dy.t(), gate_up.t(), ex_);
      for (int64_t t = 0; t < 9; ++t) {
        for (int64_t f = 0; f < F; ++f) {
          const double g = gate_up.at(t, f), s = sigmoid(g), u = gate_up.at(t, F + f), d = dy.at(t, f);
          const double dgate = d * u * (s + g * s * (1 - s)), dup = d * g * s;
          const double terms = std::abs(d * u) * (s + std::abs(g * s * (1 - s)));  // they cancel near g = -1.28
          const double rounding = dtype == DType::bf16 ? 0.5 * kEps16 : 0;
          ASSERT_NEAR(dgate_up.at(t, f), dgate, 8 * kEps32 * terms + rounding * std::abs(dgate) + 1e-30)
              << t << " " << f;
          ASSERT_NEAR(dgate_up.at(t, F + f), dup, (8 * kEps32 + rounding) * std::abs(dup) + 1e-30) << t << " " << f;
        }
      }
    }
  }
}

TEST_F(Elementwise, SwigluGradientIsTheDerivative) {
  Matrix gate_up = Matrix::random(DType::f32, 3, 2 * 18, 1);
  const Matrix dy = Matrix::random(DType::f32, 3, 18, 2);
  Matrix y(DType::f32, 3, 18), dgate_up(DType::f32, 3, 2 * 18);
  swiglu_backward(dgate_up.t(), dy.t(), gate_up.t(), ex_);
  const auto loss = [&] { return swiglu(y.t(), gate_up.t(), ex_), dot(y, dy); };
  for (int64_t i = 0; i < 3 * 36; ++i) EXPECT_NEAR(dgate_up.get(i), derivative(loss, gate_up, i), 5e-4);
}

TEST_F(Elementwise, CastRoundsToNearestEvenAndKeepsNan) {
  Random random(3, Stream::kTest);
  const int64_t n = 100003;
  Matrix x(DType::f32, 1, n);
  for (int64_t i = 0; i < n; ++i) x.set(i, std::bit_cast<float>(random.next()));  // all kinds of bit patterns
  x.set(0, std::numeric_limits<float>::quiet_NaN());
  x.set(1, std::numeric_limits<float>::infinity());
  x.set(2, std::bit_cast<float>(0x3F808000u));  // halfway, lower is even
  x.set(3, std::bit_cast<float>(0x3F818000u));  // halfway, upper is even
  x.set(4, 1e-40f);                             // subnormal
  Matrix y(DType::bf16, 1, n), back(DType::f32, 1, n);
  cast(y.t(), x.t(), ex_);
  for (int64_t i = 0; i < n; ++i) ASSERT_EQ(y.t().b16()[i].bits, to_bf16(x.get(i)).bits) << x.get(i);
  EXPECT_EQ(y.t().b16()[2].bits, 0x3F80);
  EXPECT_EQ(y.t().b16()[3].bits, 0x3F82);
  cast(back.t(), y.t(), ex_);
  for (int64_t i = 0; i < n; ++i) ASSERT_EQ(std::bit_cast<uint32_t>(back.get(i)), uint32_t{y.t().b16()[i].bits} << 16);
  Matrix copy(DType::f32, 1, n);
  cast(copy.t(), x.t(), ex_);
  EXPECT_TRUE(copy == x);
}

TEST_F(Elementwise, GatherAndScatterAreTransposes) {
  for (DType dtype : kTypes) {
    const Matrix x = Matrix::random(dtype, 12, 70, 1);
    const std::vector<int32_t> rows = random_ids(30, 12, 2);
    Matrix y(dtype, 30, 70);
    gather_rows(y.t(), x.t(), rows, ex_);
    for (int64_t i = 0; i < 30; ++i) ASSERT_EQ(y.row_bytes(i), x.row_bytes(rows[static_cast<size_t>(i)]));
  }
  // <gather(x), dy> = <x, scatter_add(dy)>, and the scatter adds in the order of i to what is there.
  Matrix x = Matrix::random(DType::f32, 12, 70, 3);
  const Matrix dy = Matrix::random(DType::f32, 30, 70, 4);
  const std::vector<int32_t> rows = random_ids(30, 12, 5);
  Matrix y(DType::f32, 30, 70), dx = Matrix::random(DType::f32, 12, 70, 6);
  const Matrix before = dx;
  scatter_add_rows(dx.t(), dy.t(), rows, ex_);
  expect_near(
      dx,
      [&](int64_t r, int64_t c) {
        float sum = before.at(r, c);
        for (int64_t i = 0; i < 30; ++i)
          if (rows[static_cast<size_t>(i)] == r) sum += dy.at(i, c);
        return sum;
      },
      0);
  const auto loss = [&] { return gather_rows(y.t(), x.t(), rows, ex_), dot(y, dy); };
  for (int64_t i = 0; i < 12 * 70; i += 7) EXPECT_NEAR(dx.get(i) - before.get(i), derivative(loss, x, i), 1e-3);
}

TEST_F(Elementwise, ThreadsAndNeighboursDoNotChangeBits) {
  const int64_t T = 301, C = 130;
  for (DType dtype : kTypes) {
    const Matrix x = Matrix::random(DType::f32, T, C, 1), gain = Matrix::random(dtype, 1, C, 2),
                 dy = Matrix::random(DType::f32, T, C, 3), gate_up = Matrix::random(dtype, T, 2 * C, 4),
                 act = Matrix::random(dtype, T, C, 5);
    const std::vector<int32_t> rows = random_ids(T, 40, 6);
    const auto run = [&](int threads) {
      ExecOwner owner(threads);
      const Exec ex = owner.exec();
      std::vector<Matrix> m;
      Matrix y(dtype, T, C), rstd(DType::f32, T, 1), dx(DType::f32, T, C), dgain(DType::f32, 1, C), s(dtype, T, C),
          dgate_up(dtype, T, 2 * C), sums(DType::f32, 40, C);
      rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), 1e-5f, ex);
      rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), ex);
      swiglu(s.t(), gate_up.t(), ex);
      swiglu_backward(dgate_up.t(), act.t(), gate_up.t(), ex);
      scatter_add_rows(sums.t(), dy.t(), rows, ex);
      for (const Matrix* made : {&y, &rstd, &dx, &dgain, &s, &dgate_up, &sums}) m.push_back(*made);
      return m;
    };
    const std::vector<Matrix> one = run(1);
    EXPECT_TRUE(run(2) == one && run(3) == one);

    // A row by itself.
    const Matrix x_row = x.take({17}), gate_up_row = gate_up.take({17});
    Matrix y(dtype, 1, C), s(dtype, 1, C);
    rmsnorm(y.t(), {}, x_row.t(), gain.t(), 1e-5f, ex_);
    swiglu(s.t(), gate_up_row.t(), ex_);
    EXPECT_EQ(y.row_bytes(0), one[0].row_bytes(17));
    EXPECT_EQ(s.row_bytes(0), one[4].row_bytes(17));
  }
}

TEST_F(Elementwise, RefusesWrongShapesIdsAndTypes) {
  Matrix x(DType::f32, 4, 8), half(DType::bf16, 4, 8), wide(DType::f32, 4, 16), gain(DType::f32, 1, 8),
      row(DType::f32, 1, 4);
  const std::vector<int32_t> ids = {0, 1, 2, 4};
  ExitCode code = ExitCode::kOk;
  EXPECT_NE(message_of([&] { embedding(x.t(), ids, x.t(), ex_); }, code).find("embedding: row 4 of a matrix of 4 rows"),
            std::string::npos);
  EXPECT_EQ(code, ExitCode::kInternal);
  EXPECT_THROW(embedding(wide.t(), ids, x.t(), ex_), Error);
  EXPECT_THROW(embedding_backward(x.t(), x.t(), ids, ex_), Error);
  EXPECT_THROW(gather_rows(x.t(), x.t(), ids, ex_), Error);
  EXPECT_THROW(scatter_add_rows(x.t(), x.t(), ids, ex_), Error);
  EXPECT_THROW(gather_rows(half.t(), x.t(), std::vector<int32_t>{0, 1, 2, 3}, ex_), Error);
  EXPECT_THROW(rmsnorm(wide.t(), {}, x.t(), gain.t(), 1e-5f, ex_), Error);
  EXPECT_THROW(rmsnorm(half.t(), {}, x.t(), gain.t(), 1e-5f, ex_), Error);
  EXPECT_THROW(rmsnorm(x.t(), gain.t(), x.t(), gain.t(), 1e-5f, ex_), Error) << "8 scales for 4 rows";
  EXPECT_THROW(rmsnorm_backward(x.t(), row.t(), x.t(), x.t(), gain.t(), row.t(), ex_), Error);
  EXPECT_THROW(swiglu(x.t(), x.t(), ex_), Error);
  EXPECT_THROW(swiglu(half.t(), wide.t(), ex_), Error);
  EXPECT_THROW(swiglu_backward(x.t(), x.t(), wide.t(), ex_), Error);
  EXPECT_THROW(cast(x.t(), wide.t(), ex_), Error);
  EXPECT_THROW(cast({x.t().data, DType::i32, {4, 8}}, x.t(), ex_), Error);
}

}  // namespace
}  // namespace cohort
