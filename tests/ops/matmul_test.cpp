// The products of a linear layer: against slow loops in double, and the promise that a row's bits are its own.
#include "model/ops/matmul.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

constexpr uint64_t kSeed = 20240611;

struct Product {
  double value, magnitude;  // sum of a b, and of |a b|
};

// sum over i < depth of a(i) b(i).
template <typename A, typename B>
Product dot(int64_t depth, A a, B b) {
  Product p{0, 0};
  for (int64_t i = 0; i < depth; ++i) {
    const double term = static_cast<double>(a(i)) * static_cast<double>(b(i));
    p.value += term;
    p.magnitude += std::abs(term);
  }
  return p;
}

// Summing n products in f32, in any order, errs by at most n eps sum |a b| (Higham, "Accuracy and Stability", 3.1);
// where the output is rounded or added to something, that many more halves of its own epsilon.
double tolerance(const Product& p, int64_t depth, DType out, double added = 0) {
  const double sum = static_cast<double>(depth + 1) * kEps32 / 2 * p.magnitude + kEps32 * std::abs(added);
  return sum + (out == DType::bf16 ? kEps16 : kEps32) / 2 * (std::abs(p.value + added) + sum) + 1e-37;
}

struct Shape {
  int64_t t, n, k;
};
const Shape kShapes[] = {{1, 1, 1},     {1, 48, 2},     {2, 3, 5},     {7, 17, 1},     {8, 16, 64},  {9, 47, 33},
                         {13, 49, 100}, {31, 96, 31},   {32, 144, 48}, {33, 97, 129},  {65, 50, 7},  {64, 33, 15},
                         {130, 64, 66}, {129, 145, 37}, {1, 960, 576}, {3, 576, 1536}, {257, 25, 19}};

struct Mode {
  DType act, out;
  bool accumulate;
};
const Mode kModes[] = {{DType::f32, DType::f32, false},
                       {DType::f32, DType::f32, true},
                       {DType::bf16, DType::f32, false},
                       {DType::bf16, DType::f32, true},
                       {DType::bf16, DType::bf16, false}};

std::string describe(const Mode& m) {
  return std::string(dtype_name(m.act)) + " -> " + dtype_name(m.out) + (m.accumulate ? ", accumulate" : "");
}
std::string describe(const Shape& s) {
  return "T " + std::to_string(s.t) + " N " + std::to_string(s.n) + " K " + std::to_string(s.k);
}

// Each (row, col) of `out` against expected(row, col), which may have been added to `before`.
void expect_close(const Matrix& out, const Matrix* before, int64_t depth,
                  const std::function<Product(int64_t, int64_t)>& expected) {
  for (int64_t i = 0; i < out.rows; ++i) {
    for (int64_t j = 0; j < out.cols; ++j) {
      const double added = before ? before->at(i, j) : 0;
      const Product p = expected(i, j);
      ASSERT_NEAR(out.at(i, j), p.value + added, tolerance(p, depth, out.dtype, added))
          << "at (" << i << ", " << j << ")";
    }
  }
}

Matrix multiply(const Matrix& x, const PackedWeight& w, DType out, const Exec& ex) {
  Matrix y(out, x.rows, w.n);
  matmul(y.t(), x.t(), w, ex);
  return y;
}

TEST(Matmul, EqualsDoubleLoops) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (const Mode& mode : kModes) {
    for (const Shape& s : kShapes) {
      SCOPED_TRACE(describe(mode) + " " + describe(s) + " seed " + std::to_string(kSeed));
      const Matrix x = Matrix::random(mode.act, s.t, s.k, kSeed), w = Matrix::random(mode.act, s.n, s.k, kSeed + 1);
      const Matrix before = Matrix::random(mode.out, s.t, s.n, kSeed + 2);
      PackedWeight packed;
      pack_weight(packed, w.t(), ex);
      Matrix y = before;
      matmul(y.t(), x.t(), packed, ex, mode.accumulate);
      expect_close(y, mode.accumulate ? &before : nullptr, s.k, [&](int64_t i, int64_t j) {
        return dot(
            s.k, [&](int64_t k) { return x.at(i, k); }, [&](int64_t k) { return w.at(j, k); });
      });
    }
  }
}

TEST(Matmul, BackwardInputEqualsDoubleLoops) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (const Mode& mode : kModes) {
    for (const Shape& s : kShapes) {
      SCOPED_TRACE(describe(mode) + " " + describe(s) + " seed " + std::to_string(kSeed));
      const Matrix dy = Matrix::random(mode.act, s.t, s.n, kSeed), w = Matrix::random(mode.act, s.n, s.k, kSeed + 1);
      const Matrix before = Matrix::random(mode.out, s.t, s.k, kSeed + 2);
      Matrix dx = before;
      PackedWeight packed;
      pack_weight(packed, w.t(), ex);
      matmul_backward_input(dx.t(), dy.t(), packed, ex, mode.accumulate);
      expect_close(dx, mode.accumulate ? &before : nullptr, s.n, [&](int64_t i, int64_t j) {
        return dot(
            s.n, [&](int64_t n) { return dy.at(i, n); }, [&](int64_t n) { return w.at(n, j); });
      });
    }
  }
}

TEST(Matmul, BackwardWeightEqualsDoubleLoops) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : {DType::f32, DType::bf16}) {
    for (const Shape& s : kShapes) {
      SCOPED_TRACE(std::string(dtype_name(act)) + " " + describe(s) + " seed " + std::to_string(kSeed));
      const Matrix dy = Matrix::random(act, s.t, s.n, kSeed), x = Matrix::random(act, s.t, s.k, kSeed + 1);
      Matrix dw = Matrix::random(DType::f32, s.n, s.k, kSeed + 2);  // overwritten
      matmul_backward_weight(dw.t(), dy.t(), x.t(), ex);
      expect_close(dw, nullptr, s.t, [&](int64_t i, int64_t j) {
        return dot(
            s.t, [&](int64_t t) { return dy.at(t, i); }, [&](int64_t t) { return x.at(t, j); });
      });
    }
  }
}

TEST(Matmul, EqualsEigenOnAModelsShape) {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const int64_t T = 65, N = 960, K = 576;
  const Matrix x = Matrix::random(DType::f32, T, K, kSeed), w = Matrix::random(DType::f32, N, K, kSeed + 1);
  const Eigen::Map<const Rows> ex_x(x.t().f32(), T, K), ex_w(w.t().f32(), N, K);
  PackedWeight packed;
  pack_weight(packed, w.t(), ex);
  const Matrix y = multiply(x, packed, DType::f32, ex);
  const Rows expected = ex_x * ex_w.transpose(), bound = ex_x.cwiseAbs() * ex_w.cwiseAbs().transpose();
  for (int64_t i = 0; i < T; ++i)
    for (int64_t j = 0; j < N; ++j) ASSERT_NEAR(y.at(i, j), expected(i, j), K * kEps32 * bound(i, j));
}

// A function of x and w that is linear in each: L = sum of y dy. Its central differences are exact but for rounding.
TEST(Matmul, BackwardPassesAFiniteDifferenceCheck) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const int64_t T = 5, N = 19, K = 11;
  Matrix x = Matrix::random(DType::f32, T, K, kSeed), w = Matrix::random(DType::f32, N, K, kSeed + 1);
  const Matrix dy = Matrix::random(DType::f32, T, N, kSeed + 2);
  const auto loss = [&] {
    PackedWeight packed;
    pack_weight(packed, w.t(), ex);
    const Matrix y = multiply(x, packed, DType::f32, ex);
    double sum = 0;
    for (int64_t i = 0; i < T * N; ++i) sum += static_cast<double>(y.get(i)) * dy.get(i);
    return sum;
  };
  Matrix dx(DType::f32, T, K), dw(DType::f32, N, K);
  PackedWeight packed_w;
  pack_weight(packed_w, w.t(), ex);
  matmul_backward_input(dx.t(), dy.t(), packed_w, ex);
  matmul_backward_weight(dw.t(), dy.t(), x.t(), ex);
  const auto check = [&](Matrix& input, const Matrix& gradient) {
    for (int64_t i = 0; i < input.rows * input.cols; ++i) {
      const float value = input.get(i), step = 0.5f;
      input.set(i, value + step);
      const double up = loss();
      input.set(i, value - step);
      const double down = loss();
      input.set(i, value);
      // 2 N (or 2 T) values of y, each off by K eps of sums near 10, over a step of 1
      ASSERT_NEAR(gradient.get(i), up - down, 40 * K * kEps32 * 10) << "element " << i;
    }
  };
  check(x, dx);
  check(w, dw);
}

TEST(Matmul, RowsHaveTheSameBitsAloneAndInAnyBatch) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (const Mode& mode : kModes) {
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{50, 33}, {192, 576}, {47, 1537}}) {
      SCOPED_TRACE(describe(mode) + " N " + std::to_string(n) + " K " + std::to_string(k));
      const int64_t most = 70;
      const Matrix x = Matrix::random(mode.act, most, k, kSeed), w = Matrix::random(mode.act, n, k, kSeed + 1);
      const Matrix dy = Matrix::random(mode.act, most, n, kSeed + 2);
      const Matrix y0 = Matrix::random(mode.out, most, n, kSeed + 3),
                   dx0 = Matrix::random(mode.out, most, k, kSeed + 4);
      PackedWeight packed;
      pack_weight(packed, w.t(), ex);
      const auto forward = [&](const std::vector<int64_t>& rows) {
        Matrix y = y0.take(rows);
        matmul(y.t(), x.take(rows).t(), packed, ex, mode.accumulate);
        return y;
      };
      const auto backward = [&](const std::vector<int64_t>& rows) {
        Matrix dx = dx0.take(rows);
        matmul_backward_input(dx.t(), dy.take(rows).t(), packed, ex, mode.accumulate);
        return dx;
      };
      std::vector<int64_t> all(most);
      for (int64_t i = 0; i < most; ++i) all[static_cast<size_t>(i)] = i;
      const Matrix y = forward(all), dx = backward(all);
      for (int64_t batch = 1; batch <= most; ++batch) {
        // rows batch - 1, batch - 2, ..., 0: another number of rows, each at another place, beside other rows
        std::vector<int64_t> rows;
        for (int64_t i = batch - 1; i >= 0; --i) rows.push_back(i);
        ASSERT_TRUE(forward(rows) == y.take(rows)) << "batch of " << batch;
        ASSERT_TRUE(backward(rows) == dx.take(rows)) << "batch of " << batch;
        ASSERT_TRUE(forward({batch - 1}) == y.take({batch - 1})) << "row " << batch - 1 << " alone";
      }
    }
  }
}

TEST(Matmul, RowsOfALongBatchHaveTheBitsOfRowsAlone) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const Matrix x = Matrix::random(DType::bf16, 1000, 96, kSeed), w = Matrix::random(DType::bf16, 100, 96, kSeed + 1);
  PackedWeight packed;
  pack_weight(packed, w.t(), ex);
  const Matrix y = multiply(x, packed, DType::f32, ex);
  for (int64_t row : {0, 1, 127, 128, 130, 255, 256, 511, 777, 999})
    EXPECT_TRUE(multiply(x.take({row}), packed, DType::f32, ex) == y.take({row})) << "row " << row;
}

TEST(Matmul, OtherRowsNeverReachARow) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : {DType::f32, DType::bf16}) {
    Matrix x = Matrix::random(act, 19, 37, kSeed);
    const Matrix w = Matrix::random(act, 53, 37, kSeed + 1);
    PackedWeight packed;
    pack_weight(packed, w.t(), ex);
    const Matrix clean = multiply(x, packed, DType::f32, ex);
    for (int64_t row = 0; row < x.rows; ++row)
      for (int64_t k = 0; row != 9 && k < x.cols; ++k) x.set(row * x.cols + k, std::numeric_limits<float>::quiet_NaN());
    const Matrix poisoned = multiply(x, packed, DType::f32, ex);
    EXPECT_TRUE(poisoned.take({9}) == clean.take({9}));
    for (int64_t j = 0; j < w.rows; ++j) EXPECT_TRUE(std::isnan(poisoned.at(8, j)));
  }
}

TEST(Matmul, ThreadsDoNotChangeBits) {
  for (DType act : {DType::f32, DType::bf16}) {
    for (const Shape& s : {Shape{1, 960, 64}, Shape{33, 97, 129}, Shape{300, 400, 130}}) {
      SCOPED_TRACE(std::string(dtype_name(act)) + " " + describe(s));
      const Matrix x = Matrix::random(act, s.t, s.k, kSeed), w = Matrix::random(act, s.n, s.k, kSeed + 1);
      const Matrix dy = Matrix::random(act, s.t, s.n, kSeed + 2), dw0 = Matrix::random(DType::f32, s.n, s.k, kSeed + 3);
      struct Results {
        Matrix y, dx, dw;
        bool operator==(const Results&) const = default;
      };
      const auto run = [&](int threads) {
        ExecOwner owner(threads);
        const Exec ex = owner.exec();
        PackedWeight packed;
        pack_weight(packed, w.t(), ex);
        Results r{multiply(x, packed, act, ex), Matrix(DType::f32, s.t, s.k), dw0};
        matmul_backward_input(r.dx.t(), dy.t(), packed, ex);
        matmul_backward_weight(r.dw.t(), dy.t(), x.t(), ex);
        return r;
      };
      const Results one = run(1);
      EXPECT_TRUE(run(2) == one);
      EXPECT_TRUE(run(3) == one);
    }
  }
}

TEST(Matmul, Bf16OutputIsTheF32OutputRounded) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const Matrix x = Matrix::random(DType::bf16, 33, 129, kSeed), w = Matrix::random(DType::bf16, 97, 129, kSeed + 1);
  PackedWeight packed;
  pack_weight(packed, w.t(), ex);
  Matrix rounded(DType::bf16, 33, 97);
  const Matrix y = multiply(x, packed, DType::f32, ex);
  for (int64_t i = 0; i < 33 * 97; ++i) rounded.set(i, y.get(i));
  EXPECT_TRUE(multiply(x, packed, DType::bf16, ex) == rounded);
}

TEST(Matmul, AccumulatingAddsTheProductOnce) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (DType act : {DType::f32, DType::bf16}) {
    const Matrix x = Matrix::random(act, 21, 130, kSeed), w = Matrix::random(act, 70, 130, kSeed + 1);
    PackedWeight packed;
    pack_weight(packed, w.t(), ex);
    const Matrix product = multiply(x, packed, DType::f32, ex), before = Matrix::random(DType::f32, 21, 70, kSeed + 2);
    Matrix expected(DType::f32, 21, 70), y = before;
    for (int64_t i = 0; i < 21 * 70; ++i) expected.set(i, before.get(i) + product.get(i));
    matmul(y.t(), x.t(), packed, ex, true);
    EXPECT_TRUE(y == expected);
  }
}

TEST(Matmul, NoRowsHaveNoOutputAndNoGradient) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  const Matrix w = Matrix::random(DType::bf16, 50, 20, kSeed), none_x(DType::bf16, 0, 20), none_y(DType::bf16, 0, 50);
  PackedWeight packed;
  pack_weight(packed, w.t(), ex);
  matmul(none_y.t(), none_x.t(), packed, ex);
  matmul_backward_input(none_x.t(), none_y.t(), packed, ex);
  Matrix dw = Matrix::random(DType::f32, 50, 20, kSeed);
  matmul_backward_weight(dw.t(), none_y.t(), none_x.t(), ex);
  EXPECT_TRUE(dw == Matrix(DType::f32, 50, 20)) << "zeros";
}

TEST(Matmul, RefusesWhatDoesNotFit) {
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  const Matrix w(DType::bf16, 50, 20), x(DType::bf16, 4, 20), y(DType::bf16, 4, 50), y32(DType::f32, 4, 50);
  const Matrix dw(DType::f32, 50, 20), x32(DType::f32, 4, 20), narrow(DType::bf16, 4, 19), few(DType::bf16, 3, 50);
  PackedWeight packed, never;
  pack_weight(packed, w.t(), ex);
  const auto refused = [](const char* part, auto body) {
    ExitCode code = ExitCode::kOk;
    const std::string message = message_of(body, code);
    EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "' should say: " << part;
    EXPECT_EQ(code, ExitCode::kInternal);
  };
  refused("never packed", [&] { matmul(y.t(), x.t(), never, ex); });
  refused("x is bfloat16 (4, 19)", [&] { matmul(y.t(), narrow.t(), packed, ex); });
  refused("x is float32", [&] { matmul(y.t(), x32.t(), packed, ex); });
  refused("y is bfloat16 (3, 50)", [&] { matmul(few.t(), x.t(), packed, ex); });
  refused("only float32 can be added to", [&] { matmul(y.t(), x.t(), packed, ex, true); });
  refused("without a CPU context", [&] { matmul(y.t(), x.t(), packed, Exec{}); });
  refused("dx is bfloat16 (4, 19)", [&] { matmul_backward_input(narrow.t(), y.t(), packed, ex); });
  refused("dy is float32", [&] { matmul_backward_input(x.t(), y32.t(), packed, ex); });
  never.n = 50, never.k = 20, never.dtype = DType::bf16;
  refused("never packed", [&] { matmul_backward_input(x.t(), y.t(), never, ex); });
  refused("only float32 can be added to", [&] { matmul_backward_input(x.t(), y.t(), packed, ex, true); });
  refused("dw is bfloat16", [&] { matmul_backward_weight(w.t(), y.t(), x.t(), ex); });
  refused("x is bfloat16 (4, 20)", [&] { matmul_backward_weight(dw.t(), few.t(), x.t(), ex); });
  refused("pack_weight of int32", [&] { pack_weight(packed, Tensor(nullptr, DType::i32, {2, 2}), ex); });
}

}  // namespace
}  // namespace cohort
