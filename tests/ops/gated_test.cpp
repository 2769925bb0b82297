// Gated units: against twins in double, gradients against finite differences, equal bits.
#include "model/ops/gated.h"

#include "tests/ops/row_ops_test.h"

namespace cohort {
namespace {

class Gated : public RowOps {};

TEST_F(Gated, SwigluMatchesTheTwinAlsoFarOut) {
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
      Matrix again = dy;
      swiglu_backward(dgate_up.t(), again.t(), again.t(), gate_up.t(), ex_);
      EXPECT_TRUE(again == y) << "y, in place of dy";
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

TEST_F(Gated, SwigluGradientIsTheDerivative) {
  Matrix gate_up = Matrix::random(DType::f32, 3, 2 * 18, 1);
  const Matrix dy = Matrix::random(DType::f32, 3, 18, 2);
  Matrix y(DType::f32, 3, 18), dgate_up(DType::f32, 3, 2 * 18);
  swiglu_backward(dgate_up.t(), y.t(), dy.t(), gate_up.t(), ex_);
  const auto loss = [&] { return swiglu(y.t(), gate_up.t(), ex_), dot(y, dy); };
  for (int64_t i = 0; i < 3 * 36; ++i) EXPECT_NEAR(dgate_up.get(i), derivative(loss, gate_up, i), 5e-4);
}

TEST_F(Gated, GegluMatchesTheTwinAlsoFarOut) {
  const double root = std::sqrt(2 / std::acos(-1.0));
  for (DType dtype : kTypes) {
    for (int64_t F : kWidths) {
      Matrix gate_up = Matrix::random(dtype, 9, 2 * F, 1, 3.0f);
      gate_up.set(0, 200.0f), gate_up.set(2 * F, -200.0f), gate_up.set(4 * F, 1e20f), gate_up.set(6 * F, -1e20f);
      const Matrix dy = Matrix::random(dtype, 9, F, 2);
      Matrix y(dtype, 9, F), dgate_up(dtype, 9, 2 * F);
      geglu(y.t(), gate_up.t(), ex_);
      Matrix again(dtype, 9, F);
      geglu_backward(dgate_up.t(), again.t(), dy.t(), gate_up.t(), ex_);
      EXPECT_TRUE(again == y);
      const double rounding = dtype == DType::bf16 ? 0.5 * kEps16 : 0;
      for (int64_t t = 0; t < 9; ++t) {
        for (int64_t f = 0; f < F; ++f) {
          const double z = gate_up.at(t, f), up = gate_up.at(t, F + f), d = dy.at(t, f);
          const double u = root * (z + 0.044715 * z * z * z), p = 1 / (1 + std::exp(-2 * u));
          // Where e^-2u is a tiny difference of large numbers, its exponent is rounded: 2|u| units.
          const double spread = (16 + 4 * std::min(std::abs(u), 60.0)) * kEps32;
          ASSERT_NEAR(y.at(t, f), z * p * up, (spread + rounding) * std::abs(z * p * up) + 1e-30) << z;
          const double du = root * (1 + 3 * 0.044715 * z * z), curve = std::isfinite(du) ? z * p * (1 - p) * 2 * du : 0;
          const double terms = std::abs(d * up) * (p + std::abs(curve));
          const double dgate = d * up * (p + (p * (1 - p) == 0 ? 0 : curve));
          ASSERT_NEAR(dgate_up.at(t, f), dgate, 2 * spread * terms + rounding * std::abs(dgate) + 1e-30) << z;
          ASSERT_NEAR(dgate_up.at(t, F + f), d * z * p, (spread + rounding) * std::abs(d * z * p) + 1e-30) << z;
        }
      }
    }
  }
}

TEST_F(Gated, GegluGradientIsTheDerivative) {
  Matrix gate_up = Matrix::random(DType::f32, 3, 2 * 18, 1);
  const Matrix dy = Matrix::random(DType::f32, 3, 18, 2);
  Matrix y(DType::f32, 3, 18), dgate_up(DType::f32, 3, 2 * 18);
  geglu_backward(dgate_up.t(), y.t(), dy.t(), gate_up.t(), ex_);
  const auto loss = [&] { return geglu(y.t(), gate_up.t(), ex_), dot(y, dy); };
  for (int64_t i = 0; i < 3 * 36; ++i) EXPECT_NEAR(dgate_up.get(i), derivative(loss, gate_up, i), 5e-4);
}

TEST_F(Gated, ThreadsAndNeighboursDoNotChangeBits) {
  const int64_t T = 301, F = 130;
  for (DType dtype : kTypes) {
    const Matrix gate_up = Matrix::random(dtype, T, 2 * F, 4), dy = Matrix::random(dtype, T, F, 5);
    const auto run = [&](int threads) {
      ExecOwner owner(threads);
      const Exec ex = owner.exec();
      Matrix s(dtype, T, F), ds(dtype, T, 2 * F), g(dtype, T, F), dg(dtype, T, 2 * F);
      swiglu(s.t(), gate_up.t(), ex), swiglu_backward(ds.t(), s.t(), dy.t(), gate_up.t(), ex);
      geglu(g.t(), gate_up.t(), ex), geglu_backward(dg.t(), g.t(), dy.t(), gate_up.t(), ex);
      return std::vector<Matrix>{s, ds, g, dg};
    };
    const std::vector<Matrix> one = run(1);
    EXPECT_TRUE(run(2) == one && run(3) == one);
    const Matrix row = gate_up.take({17});  // by itself
    Matrix s(dtype, 1, F), g(dtype, 1, F);
    swiglu(s.t(), row.t(), ex_), geglu(g.t(), row.t(), ex_);
    EXPECT_EQ(s.row_bytes(0), one[0].row_bytes(17));
    EXPECT_EQ(g.row_bytes(0), one[2].row_bytes(17));
  }
}

TEST_F(Gated, BackwardTakesRowsWhereTheyLie) {
  const int64_t F = 50;
  const std::vector<int32_t> index{3, -2, 0, 3, -1};
  for (DType dtype : kTypes) {
    const Matrix from = Matrix::random(dtype, 4, 2 * F, 1), other = Matrix::random(dtype, 2, 2 * F, 2), dy = Matrix::random(dtype, 5, F, 3);
    Matrix gathered(dtype, 5, 2 * F);
    for (int64_t i = 0; i < 5; ++i)
      for (int64_t c = 0; c < 2 * F; ++c)
        gathered.set(i * 2 * F + c, static_cast<float>(index[i] >= 0 ? from.at(index[i], c) : other.at(-1 - index[i], c)));
    const TakenRows rows(from.t(), index, other.t());
    for (const auto backward : {swiglu_backward, geglu_backward}) {
      Matrix y(dtype, 5, F), dgate_up(dtype, 5, 2 * F), y2(dtype, 5, F), dgate_up2(dtype, 5, 2 * F);
      backward(dgate_up.t(), y.t(), dy.t(), gathered.t(), ex_), backward(dgate_up2.t(), y2.t(), dy.t(), rows, ex_);
      EXPECT_TRUE(y2 == y && dgate_up2 == dgate_up);
    }
  }
  Matrix x(DType::f32, 1, 8), wide(DType::f32, 4, 16), dwide(DType::f32, 1, 16);
  for (int32_t missing : {4, -1}) {
    const std::vector<int32_t> row{missing};
    EXPECT_THROW(swiglu_backward(dwide.t(), x.t(), x.t(), TakenRows(wide.t(), row), ex_), Error);
  }
  EXPECT_THROW(TakenRows(wide.t(), std::vector<int32_t>{1}).matrix(), Error);
}

// A lone column is the rest of a vector, which whole vectors must agree with.
TEST_F(Gated, ColumnsByThemselvesHaveTheSameBits) {
  const int64_t T = 5, F = 83;
  for (DType dtype : kTypes) {
    const Matrix gate_up = Matrix::random(dtype, T, 2 * F, 1, 3.0f), dy = Matrix::random(dtype, T, F, 2);
    for (const bool silu : {true, false}) {
      const auto forward = silu ? swiglu : geglu;
      const auto backward = silu ? swiglu_backward : geglu_backward;
      Matrix y(dtype, T, F), again(dtype, T, F), dgate_up(dtype, T, 2 * F);
      forward(y.t(), gate_up.t(), ex_), backward(dgate_up.t(), again.t(), dy.t(), gate_up.t(), ex_);
      EXPECT_TRUE(again == y);
      for (int64_t f = 0; f < F; ++f) {
        Matrix pair(dtype, T, 2), d(dtype, T, 1), value(dtype, T, 1), dpair(dtype, T, 2);
        for (int64_t t = 0; t < T; ++t) pair.set(2 * t, gate_up.at(t, f)), pair.set(2 * t + 1, gate_up.at(t, F + f)), d.set(t, dy.at(t, f));
        backward(dpair.t(), value.t(), d.t(), pair.t(), ex_);
        for (int64_t t = 0; t < T; ++t) {
          ASSERT_EQ(value.at(t, 0), y.at(t, f)) << t << " " << f;
          ASSERT_EQ(dpair.at(t, 0), dgate_up.at(t, f)) << t << " " << f;
          ASSERT_EQ(dpair.at(t, 1), dgate_up.at(t, F + f)) << t << " " << f;
        }
      }
    }
  }
}

TEST_F(Gated, RefusesWrongShapesAndTypes) {
  Matrix x(DType::f32, 4, 8), half(DType::bf16, 4, 8), wide(DType::f32, 4, 16);
  EXPECT_THROW(swiglu(x.t(), x.t(), ex_), Error);
  EXPECT_THROW(swiglu(half.t(), wide.t(), ex_), Error);
  EXPECT_THROW(swiglu_backward(x.t(), x.t(), x.t(), wide.t(), ex_), Error);
  EXPECT_THROW(geglu(x.t(), x.t(), ex_), Error);
  EXPECT_THROW(geglu_backward(x.t(), x.t(), x.t(), wide.t(), ex_), Error);
}

}  // namespace
}  // namespace cohort
