// Sums over rows in parts: every op that has one gives the bits of the parts run alone and added by hand.
#include "model/ops/row_parts.h"

#include <algorithm>
#include <functional>
#include <random>

#include "model/ops/elementwise.h"
#include "model/ops/matmul.h"
#include "model/ops/norm.h"
#include "tests/core/expect_error.h"
#include "tests/ops/head_problem.h"

namespace cohort {
namespace {

// Parts of up to `most` rows whose sums meet in a random tree.
std::vector<RowPart> random_parts(std::mt19937& random, int64_t most) {
  std::vector<RowPart> parts;
  const uint32_t count = 1 + random() % 7;
  int64_t begin = 0;
  int open = 0;
  for (uint32_t p = 0; p < count; ++p) {
    const int64_t rows = 1 + static_cast<int64_t>(random() % static_cast<uint32_t>(most));
    ++open;
    const int merges = p + 1 == count ? open - 1 : static_cast<int>(random() % static_cast<uint32_t>(open));
    parts.push_back({begin, rows, merges});
    begin += rows, open -= merges;
  }
  return parts;
}

int64_t rows_of(const std::vector<RowPart>& parts) { return parts.back().begin + parts.back().count; }

// The definition: `alone` gives each part's sum.
Matrix tree(const std::vector<RowPart>& parts, const std::function<Matrix(const RowPart&)>& alone) {
  std::vector<Matrix> open;
  for (const RowPart& part : parts) {
    open.push_back(alone(part));
    for (int merge = 0; merge < part.merges; ++merge) {
      const Matrix top = open.back();
      open.pop_back();
      for (int64_t i = 0; i < top.rows * top.cols; ++i) open.back().set(i, open.back().get(i) + top.get(i));
    }
  }
  return open.front();
}

Matrix part_rows(const Matrix& m, const RowPart& part) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < part.count; ++i) rows.push_back(part.begin + i);
  return m.take(rows);
}

class RowParts : public testing::Test {
 protected:
  const uint32_t seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  ExecOwner owner_{2};
  const Exec ex_ = owner_.exec();
};

TEST_F(RowParts, OfAWeight) {
  SCOPED_TRACE(testing::Message() << "seed " << seed_);
  for (int round = 0; round < 60; ++round) {
    const DType act = kActs[round % 2];
    const std::vector<RowPart> parts = random_parts(random_, 40);
    const int64_t T = rows_of(parts), N = 1 + static_cast<int64_t>(random_() % 70),
                  K = 1 + static_cast<int64_t>(random_() % 110);
    const Matrix dy = Matrix::random(act, T, N, random_()), x = Matrix::random(act, T, K, random_());
    Matrix dw(DType::f32, N, K);
    matmul_backward_weight(dw.t(), dy.t(), x.t(), ex_, parts);
    EXPECT_TRUE(dw == tree(parts,
                           [&](const RowPart& part) {
                             Matrix alone(DType::f32, N, K);
                             matmul_backward_weight(alone.t(), part_rows(dy, part).t(), part_rows(x, part).t(), ex_);
                             return alone;
                           }))
        << dtype_name(act) << " " << T << " rows, " << N << " x " << K;
  }
}

// Rows and columns go through registers many at a time where they can; one column of dy by itself never does.
TEST_F(RowParts, OfAWeightColumnByColumn) {
  SCOPED_TRACE(testing::Message() << "seed " << seed_);
  for (int round = 0; round < 30; ++round) {
    const DType act = kActs[round % 2];
    const std::vector<RowPart> parts = random_parts(random_, 90);
    const int64_t T = rows_of(parts), N = 30 + static_cast<int64_t>(random_() % 110), K = 1 + static_cast<int64_t>(random_() % 60);
    const Matrix dy = Matrix::random(act, T, N, random_()), x = Matrix::random(act, T, K, random_());
    Matrix dw(DType::f32, N, K);
    matmul_backward_weight(dw.t(), dy.t(), x.t(), ex_, parts);
    for (int64_t n = 0; n < N; ++n) {
      Matrix column(act, T, 1), alone(DType::f32, 1, K);
      for (int64_t t = 0; t < T; ++t) column.set(t, dy.at(t, n));
      matmul_backward_weight(alone.t(), column.t(), x.t(), ex_, parts);
      ASSERT_EQ(alone.row_bytes(0), dw.row_bytes(n)) << dtype_name(act) << " column " << n << " of " << N << ", " << T << " rows";
    }
  }
}

TEST_F(RowParts, OfABias) {
  SCOPED_TRACE(testing::Message() << "seed " << seed_);
  for (int round = 0; round < 20; ++round) {
    const std::vector<RowPart> parts = random_parts(random_, 40);
    const Matrix dy = Matrix::random(kActs[round % 2], rows_of(parts), 75, random_());
    Matrix dbias(DType::f32, 1, 75);
    bias_backward(dbias.t(), dy.t(), ex_, parts);
    EXPECT_TRUE(dbias == tree(parts, [&](const RowPart& part) {
                  Matrix alone(DType::f32, 1, 75);
                  bias_backward(alone.t(), part_rows(dy, part).t(), ex_);
                  return alone;
                }));
  }
}

TEST_F(RowParts, OfNorms) {
  SCOPED_TRACE(testing::Message() << "seed " << seed_);
  constexpr QkHeads kHeads{3, 2, 18};
  constexpr int64_t kWidth = 7 * 18, kQk = 5 * 18;
  for (int round = 0; round < 20; ++round) {
    const std::vector<RowPart> parts = random_parts(random_, 30);
    const int64_t T = rows_of(parts);
    const Matrix dy = Matrix::random(DType::f32, T, kWidth, random_()),
                 x = Matrix::random(DType::f32, T, kWidth, random_()),
                 rstd = Matrix::random(DType::f32, T, 1, random_()),
                 gain = Matrix::random(DType::f32, 1, kWidth, random_());
    const auto norm = [&](const Matrix& y, const Matrix& in, const Matrix& scale, std::span<const RowPart> p) {
      Matrix dx(DType::f32, y.rows, kWidth), dgain(DType::f32, 1, kWidth);
      rmsnorm_backward(dx.t(), dgain.t(), y.t(), in.t(), gain.t(), scale.t(), 1, ex_, p);
      return dgain;
    };
    EXPECT_TRUE(norm(dy, x, rstd, parts) == tree(parts, [&](const RowPart& p) {
                  return norm(part_rows(dy, p), part_rows(x, p), part_rows(rstd, p), {});
                }));
    const Matrix raw = Matrix::random(DType::f32, T, kQk, random_()),
                 scales = Matrix::random(DType::f32, T, 5, random_()),
                 head_gain = Matrix::random(DType::f32, 1, 18, random_());
    const auto heads = [&](const Matrix& y, const Matrix& in, const Matrix& scale, std::span<const RowPart> p, bool q) {
      Matrix dqkv = y, dq(DType::f32, 1, 18), dk(DType::f32, 1, 18);
      qk_norm_backward(dqkv.t(), dq.t(), dk.t(), in.t(), scale.t(), head_gain.t(), head_gain.t(), kHeads, 1, ex_, p);
      return q ? dq : dk;
    };
    for (const bool q : {false, true}) {
      EXPECT_TRUE(heads(dy, raw, scales, parts, q) == tree(parts, [&](const RowPart& p) {
                    return heads(part_rows(dy, p), part_rows(raw, p), part_rows(scales, p), {}, q);
                  }));
    }
  }
}

// The head's gradient, and that of an embedding which is the same matrix: each part's terms of a row are together
// before parts meet.
TEST_F(RowParts, OfTheHeadAndTheEmbeddingTiedToIt) {
  SCOPED_TRACE(testing::Message() << "seed " << seed_);
  for (int round = 0; round < 24; ++round) {
    const std::vector<RowPart> parts = random_parts(random_, round % 4 == 0 ? 700 : 60);  // also beyond one sweep
    const int64_t n = rows_of(parts), V = 40 + static_cast<int64_t>(random_() % 500), C = 21;
    Problem p(kActs[round % 2], n, V, C, 3.0f, round % 3 == 0 ? 5.0f : 0.0f);
    const std::vector<float> weights = random_weights(n);
    const Matrix dx = Matrix::random(DType::f32, n, C, random_());
    std::vector<int32_t> tokens(static_cast<size_t>(n));
    for (int32_t& token : tokens) token = static_cast<int32_t>(random_() % static_cast<uint32_t>(V)) / 3 * 3 % 60;
    const auto gradient = [&](const Problem& problem, const std::vector<float>& w, const Matrix& d,
                              const std::vector<int32_t>& ids, std::span<const RowPart> of) {
      std::vector<int32_t> rows = ids;
      std::ranges::sort(rows);
      rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
      Matrix sums(DType::f32, static_cast<int64_t>(rows.size() * std::max<size_t>(1, of.size())), C);
      const Loss r = loss(problem, 0.9f, w, ex_, of, {rows, sums.t()});
      embedding_backward(r.dw.t(), {rows, sums.t()}, d.t(), ids, ex_, 1.5f, of);
      return r;
    };
    const Loss all = gradient(p, weights, dx, tokens, parts);
    EXPECT_TRUE(all.dw == tree(parts,
                               [&](const RowPart& part) {
                                 Problem alone = p;
                                 alone.h = part_rows(p.h, part);
                                 const auto first = static_cast<ptrdiff_t>(part.begin),
                                            last = first + static_cast<ptrdiff_t>(part.count);
                                 alone.targets = {p.targets.begin() + first, p.targets.begin() + last};
                                 const Loss r =
                                     gradient(alone, {weights.begin() + first, weights.begin() + last},
                                              part_rows(dx, part), {tokens.begin() + first, tokens.begin() + last}, {});
                                 EXPECT_TRUE(r.dh == part_rows(all.dh, part));
                                 return r.dw;
                               }))
        << n << " rows, vocabulary " << V << ", " << parts.size() << " parts";
  }
}

TEST_F(RowParts, RefusesPartsThatAreNoSumOverAllRows) {
  const auto check = [](std::vector<RowPart> parts) { check_row_parts("op", parts, 10); };
  check({{0, 10, 0}});
  check({{0, 4, 0}, {4, 6, 1}});
  check({});
  EXPECT_ERROR(check({{0, 4, 0}, {5, 5, 1}}), kInternal, "op: a part of 5 rows from 5, after row 4");
  EXPECT_ERROR(check({{0, 4, 0}, {4, 5, 1}}), kInternal, "parts of 9 of 10 rows");
  EXPECT_ERROR(check({{0, 4, 0}, {4, 6, 0}}), kInternal, "2 sums are left");
  EXPECT_ERROR(check({{0, 4, 1}, {4, 6, 0}}), kInternal, "1 merges of 1 sums");
  std::vector<RowPart> many;
  for (int64_t i = 0; i < 20; ++i) many.push_back({i, 1, 0});
  EXPECT_ERROR(check_row_parts("op", many, 20), kInternal, "17 sums, at most 16");
}

}  // namespace
}  // namespace cohort
