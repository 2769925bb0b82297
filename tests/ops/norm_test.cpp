// RMS norms of rows and of heads: against twins in double, gradients against finite differences, equal bits.
#include "model/ops/norm.h"

#include "tests/ops/row_ops_test.h"

namespace cohort {
namespace {

class Norm : public RowOps {};

TEST_F(Norm, RmsnormMatchesTheTwin) {
  for (DType dtype : kTypes) {
    for (int64_t C : kWidths) {
      const Matrix x = Matrix::random(DType::f32, 37, C, 1), gain = Matrix::random(dtype, 1, C, 2);
      Matrix y(dtype, 37, C), rstd(DType::f32, 37, 1);
      rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), {1e-5f}, ex_);
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
      rmsnorm(without.t(), {}, x.t(), gain.t(), {1e-5f}, ex_);
      EXPECT_TRUE(without == y) << "without rstd";
    }
  }
}

TEST_F(Norm, RmsnormGradientIsTheDerivative) {
  Matrix x = Matrix::random(DType::f32, 3, 22, 1), gain = Matrix::random(DType::f32, 1, 22, 2);
  const Matrix dy = Matrix::random(DType::f32, 3, 22, 3);
  Matrix y(DType::f32, 3, 22), rstd(DType::f32, 3, 1);
  const auto loss = [&] { return rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), {1e-5f}, ex_), dot(y, dy); };
  loss();
  Matrix dx = Matrix::random(DType::f32, 3, 22, 4), dgain = Matrix::random(DType::f32, 1, 22, 5);
  const Matrix dx_before = dx;  // which is added to
  rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), 0, ex_);
  for (int64_t i = 0; i < 3 * 22; ++i) EXPECT_NEAR(dx.get(i) - dx_before.get(i), derivative(loss, x, i), 5e-4);
  for (int64_t i = 0; i < 22; ++i) EXPECT_NEAR(dgain.get(i), derivative(loss, gain, i), 5e-4);
}

TEST_F(Norm, RmsnormGradientMatchesTheTwin) {
  for (DType dtype : kTypes) {
    for (int64_t C : kWidths) {
      const int64_t T = 70;
      const Matrix x = Matrix::random(DType::f32, T, C, 1), gain = Matrix::random(dtype, 1, C, 2),
                   dy = Matrix::random(DType::f32, T, C, 3);
      Matrix y(dtype, T, C), rstd(DType::f32, T, 1), dx(DType::f32, T, C), dgain(DType::f32, 1, C);
      rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), {1e-5f}, ex_);
      rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), 0, ex_);
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

constexpr NormParams kOffset{1e-6f, 1.0f};

TEST_F(Norm, AnOffsetIsAddedToTheGain) {
  for (DType dtype : kTypes) {
    const Matrix x = Matrix::random(DType::f32, 9, 50, 1);
    Matrix gain = Matrix::random(dtype, 1, 50, 2), shifted(DType::f32, 1, 50), y(dtype, 9, 50), wanted(DType::f32, 9, 50);
    for (int64_t c = 0; c < 50; ++c) shifted.set(c, 1.0f + gain.get(c));
    rmsnorm(y.t(), {}, x.t(), gain.t(), kOffset, ex_);
    rmsnorm(wanted.t(), {}, x.t(), shifted.t(), {1e-6f}, ex_);
    expect_near(
        y, [&](int64_t t, int64_t c) { return wanted.at(t, c); }, tolerance(dtype, 0));
  }
}

TEST_F(Norm, AddingIsTheNormAddedToTheSum) {
  for (DType dtype : kTypes) {
    const Matrix x = Matrix::random(DType::f32, 9, 50, 1), gain = Matrix::random(DType::f32, 1, 50, 2),
                 before = Matrix::random(DType::f32, 9, 50, 3);
    Matrix stored(dtype, 1, 50), y(DType::f32, 9, 50), sum = before, rstd(DType::f32, 9, 1), rstd_add(DType::f32, 9, 1);
    for (int64_t c = 0; c < 50; ++c) stored.set(c, gain.get(c));
    Matrix same(DType::f32, 1, 50);
    for (int64_t c = 0; c < 50; ++c) same.set(c, stored.get(c));
    rmsnorm(y.t(), rstd.t(), x.t(), same.t(), kOffset, ex_);
    rmsnorm_add(sum.t(), rstd_add.t(), x.t(), stored.t(), kOffset, ex_);
    EXPECT_TRUE(rstd == rstd_add);
    expect_near(
        sum, [&](int64_t t, int64_t c) { return before.at(t, c) + y.at(t, c); }, 0);
  }
}

TEST_F(Norm, GradientWithAnOffsetIsTheDerivative) {
  Matrix x = Matrix::random(DType::f32, 3, 22, 1), gain = Matrix::random(DType::f32, 1, 22, 2, 0.5f);
  const Matrix dy = Matrix::random(DType::f32, 3, 22, 3);
  Matrix y(DType::f32, 3, 22), rstd(DType::f32, 3, 1), dx(DType::f32, 3, 22), dgain(DType::f32, 1, 22);
  const auto loss = [&] { return rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), kOffset, ex_), dot(y, dy); };
  loss();
  rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), 1.0f, ex_);
  for (int64_t i = 0; i < 3 * 22; ++i) EXPECT_NEAR(dx.get(i), derivative(loss, x, i), 1e-3);
  for (int64_t i = 0; i < 22; ++i) EXPECT_NEAR(dgain.get(i), derivative(loss, gain, i), 5e-4);
}

constexpr QkHeads kHeads{3, 2, 18};
constexpr int64_t kQk = 5 * 18, kWidth = 7 * 18;

TEST_F(Norm, HeadsAreNormedOneByOneAndValuesStay) {
  for (DType dtype : kTypes) {
    const Matrix before = Matrix::random(DType::f32, 6, kWidth, 1), q_gain = Matrix::random(dtype, 1, 18, 2),
                 k_gain = Matrix::random(dtype, 1, 18, 3);
    Matrix qkv = before, raw(DType::f32, 6, kQk), rstd(DType::f32, 6, 5);
    qk_norm(qkv.t(), raw.t(), rstd.t(), q_gain.t(), k_gain.t(), kHeads, kOffset, ex_);
    expect_near(
        qkv,
        [&](int64_t t, int64_t c) -> double {
          if (c >= kQk) return before.at(t, c);
          const int64_t first = c / 18 * 18;
          double squares = 0;
          for (int64_t d = 0; d < 18; ++d) squares += static_cast<double>(before.at(t, first + d)) * before.at(t, first + d);
          const double gain = 1.0 + (c < 3 * 18 ? q_gain : k_gain).at(0, c % 18);
          return before.at(t, c) * gain / std::sqrt(squares / 18 + 1e-6);
        },
        8 * kEps32);
    expect_near(
        raw, [&](int64_t t, int64_t c) { return before.at(t, c); }, 0);
    Matrix without = before;
    qk_norm(without.t(), {}, {}, q_gain.t(), k_gain.t(), kHeads, kOffset, ex_);
    EXPECT_TRUE(without == qkv) << "without what the backward pass needs";
  }
}

TEST_F(Norm, HeadGradientsAreTheDerivatives) {
  Matrix x = Matrix::random(DType::f32, 4, kWidth, 1), q_gain = Matrix::random(DType::f32, 1, 18, 2),
         k_gain = Matrix::random(DType::f32, 1, 18, 3);
  const Matrix dy = Matrix::random(DType::f32, 4, kWidth, 4);
  Matrix raw(DType::f32, 4, kQk), rstd(DType::f32, 4, 5), dx = dy;
  const auto loss = [&] {
    Matrix y = x;
    qk_norm(y.t(), raw.t(), rstd.t(), q_gain.t(), k_gain.t(), kHeads, kOffset, ex_);
    return dot(y, dy);
  };
  loss();
  Matrix dq_gain = Matrix::random(DType::f32, 1, 18, 5), dk_gain = Matrix::random(DType::f32, 1, 18, 6);
  qk_norm_backward(dx.t(), dq_gain.t(), dk_gain.t(), raw.t(), rstd.t(), q_gain.t(), k_gain.t(), kHeads, 1.0f, ex_);
  for (int64_t i = 0; i < 4 * kWidth; ++i) EXPECT_NEAR(dx.get(i), derivative(loss, x, i), 1e-3) << i;
  for (int64_t i = 0; i < 18; ++i) {
    EXPECT_NEAR(dq_gain.get(i), derivative(loss, q_gain, i), 5e-4) << i;
    EXPECT_NEAR(dk_gain.get(i), derivative(loss, k_gain, i), 5e-4) << i;
  }
}

TEST_F(Norm, ThreadsAndNeighboursDoNotChangeBits) {
  const int64_t T = 301, C = 130;
  for (DType dtype : kTypes) {
    const Matrix x = Matrix::random(DType::f32, T, C, 1), gain = Matrix::random(dtype, 1, C, 2),
                 dy = Matrix::random(DType::f32, T, C, 3), heads = Matrix::random(DType::f32, T, kWidth, 4),
                 head_gain = Matrix::random(dtype, 1, 18, 5);
    const auto run = [&](int threads) {
      ExecOwner owner(threads);
      const Exec ex = owner.exec();
      Matrix y(dtype, T, C), rstd(DType::f32, T, 1), dx(DType::f32, T, C), dgain(DType::f32, 1, C), qkv = heads,
          raw(DType::f32, T, kQk), rstd_qk(DType::f32, T, 5), dq_gain(DType::f32, 1, 18), dk_gain(DType::f32, 1, 18);
      rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), kOffset, ex);
      rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), 1.0f, ex);
      qk_norm(qkv.t(), raw.t(), rstd_qk.t(), head_gain.t(), head_gain.t(), kHeads, kOffset, ex);
      Matrix dqkv = heads;
      qk_norm_backward(dqkv.t(), dq_gain.t(), dk_gain.t(), raw.t(), rstd_qk.t(), head_gain.t(), head_gain.t(), kHeads,
                       1.0f, ex);
      return std::vector<Matrix>{y, rstd, dx, dgain, qkv, dqkv, dq_gain, dk_gain};
    };
    const std::vector<Matrix> one = run(1);
    EXPECT_TRUE(run(2) == one && run(3) == one);

    const Matrix x_row = x.take({17});  // by itself
    Matrix y(dtype, 1, C), head_row = heads.take({17});
    rmsnorm(y.t(), {}, x_row.t(), gain.t(), kOffset, ex_);
    qk_norm(head_row.t(), {}, {}, head_gain.t(), head_gain.t(), kHeads, kOffset, ex_);
    EXPECT_EQ(y.row_bytes(0), one[0].row_bytes(17));
    EXPECT_EQ(head_row.row_bytes(0), one[4].row_bytes(17));
  }
}

// The order of the sums, in plain loops. A sum over columns: 64 partial sums, then a tree.
float column_sum(int64_t n, const std::function<float(int64_t, float)>& add) {
  float sums[64] = {};
  for (int64_t c = 0; c < n; ++c) sums[c % 64] = add(c, sums[c % 64]);
  for (int64_t lane = 0; lane < 16; ++lane) sums[lane] = (sums[lane] + sums[16 + lane]) + (sums[32 + lane] + sums[48 + lane]);
  for (int64_t step = 8; step > 0; step /= 2)
    for (int64_t lane = 0; lane < step; ++lane) sums[lane] += sums[lane + step];
  return sums[0];
}

TEST_F(Norm, SumsAreInTheOrderThatIsDefinedWhoeverTakesTheParts) {
  const std::vector<RowPart> four = {{0, 9, 0}, {9, 14, 1}, {23, 1, 0}, {24, 12, 2}}, one = {{0, 36, 0}};
  const int64_t T = 36;
  for (DType dtype : kTypes) {
    for (int64_t C : {1, 16, 50, 64, 130, 576}) {
      const Matrix x = Matrix::random(DType::f32, T, C, 1), gain = Matrix::random(dtype, 1, C, 2),
                   dy = Matrix::random(DType::f32, T, C, 3), before = Matrix::random(DType::f32, T, C, 4);
      Matrix y(dtype, T, C), rstd(DType::f32, T, 1), dx = before, wanted = before;
      rmsnorm(y.t(), rstd.t(), x.t(), gain.t(), kOffset, ex_);
      for (int64_t t = 0; t < T; ++t) {
        const float squares = column_sum(C, [&](int64_t c, float sum) { return std::fma(x.at(t, c), x.at(t, c), sum); });
        const float scale = 1.0f / std::sqrt(squares / static_cast<float>(C) + kOffset.eps);
        ASSERT_EQ(rstd.at(t, 0), scale);
        const float sum = column_sum(C, [&](int64_t c, float s) { return std::fma((gain.at(0, c) + kOffset.offset) * dy.at(t, c), x.at(t, c), s); });
        const float along = -sum * scale * scale / static_cast<float>(C);
        for (int64_t c = 0; c < C; ++c) {
          const float change = std::fma(x.at(t, c), along, (gain.at(0, c) + kOffset.offset) * dy.at(t, c)) * scale;
          wanted.set(t * C + c, before.at(t, c) + change);
        }
      }
      for (const std::vector<RowPart>& parts : {four, one}) {
        Matrix gains(DType::f32, 1, C);
        for (int64_t c = 0; c < C; ++c) {
          std::vector<float> open;
          for (const RowPart& part : parts) {
            open.push_back(0);
            for (int64_t t = part.begin; t < part.begin + part.count; ++t)
              open.back() = std::fma(dy.at(t, c), x.at(t, c) * rstd.at(t, 0), open.back());
            for (int merge = 0; merge < part.merges; ++merge) {
              const float top = open.back();
              open.pop_back(), open.back() += top;
            }
          }
          gains.set(c, open.front());
        }
        for (const int threads : {1, 2, 3}) {  // with four parts two threads take parts, three take rows
          ExecOwner owner(threads);
          Matrix dgain(DType::f32, 1, C);
          dx = before;
          rmsnorm_backward(dx.t(), dgain.t(), dy.t(), x.t(), gain.t(), rstd.t(), kOffset.offset, owner.exec(), parts);
          EXPECT_TRUE(dx == wanted && dgain == gains) << C << " columns, " << parts.size() << " parts, " << threads << " threads";
        }
      }
    }
  }
}

TEST_F(Norm, RefusesWrongShapesAndTypes) {
  Matrix x(DType::f32, 4, 8), half(DType::bf16, 4, 8), wide(DType::f32, 4, 16), gain(DType::f32, 1, 8),
      row(DType::f32, 1, 4), half_gain(DType::bf16, 1, 8);
  EXPECT_THROW(rmsnorm(wide.t(), {}, x.t(), gain.t(), {1e-5f}, ex_), Error);
  EXPECT_THROW(rmsnorm(half.t(), {}, x.t(), gain.t(), {1e-5f}, ex_), Error);
  EXPECT_THROW(rmsnorm(x.t(), gain.t(), x.t(), gain.t(), {1e-5f}, ex_), Error) << "8 scales for 4 rows";
  EXPECT_THROW(rmsnorm_add(wide.t(), {}, x.t(), gain.t(), {1e-5f}, ex_), Error);
  EXPECT_THROW(rmsnorm_backward(x.t(), row.t(), x.t(), x.t(), gain.t(), row.t(), 0, ex_), Error);
  const QkHeads two{1, 0, 8};
  EXPECT_THROW(qk_norm(wide.t(), {}, {}, gain.t(), gain.t(), two, {1e-5f}, ex_), Error);
  EXPECT_THROW(qk_norm(x.t(), {}, {}, gain.t(), half_gain.t(), two, {1e-5f}, ex_), Error);
  EXPECT_THROW(qk_norm_backward(x.t(), gain.t(), gain.t(), {}, {}, gain.t(), gain.t(), two, 0, ex_), Error);
}

}  // namespace
}  // namespace cohort
