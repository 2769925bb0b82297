// Embedding, biases, casts and row moves: against twins, their gradients against finite differences, equal bits.
#include "model/ops/elementwise.h"

#include <algorithm>
#include <limits>

#include "tests/ops/row_ops_test.h"

namespace cohort {
namespace {

class Elementwise : public RowOps {
 protected:
  // dtable's rows of `tokens` = the sums, begun at what stands there.
  void add_embedding_gradient(Matrix& dtable, const Matrix& dx, const std::vector<int32_t>& tokens, float scale = 1) {
    std::vector<int32_t> rows = tokens;
    std::ranges::sort(rows);
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    Matrix sums = dtable.take({rows.begin(), rows.end()});
    embedding_backward(dtable.t(), {rows, sums.t()}, dx.t(), tokens, ex_, scale);
  }
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
    add_embedding_gradient(dtable, dx, tokens);
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
  add_embedding_gradient(dtable, dx, tokens);
  for (int64_t i = 0; i < 50; ++i)
    EXPECT_NEAR(dtable.get(i),
                derivative([&] { return embedding(x.t(), tokens, table.t(), ex_), dot(x, dx); }, table, i), 1e-4);
}

TEST_F(Elementwise, AScaledEmbeddingAndItsGradient) {
  Matrix table = Matrix::random(DType::f32, 5, 20, 1);
  const std::vector<int32_t> tokens = {3, 1, 3, 0};
  const Matrix dx = Matrix::random(DType::f32, 4, 20, 2);
  Matrix x(DType::f32, 4, 20), dtable(DType::f32, 5, 20);
  embedding(x.t(), tokens, table.t(), ex_, 3.5f);
  expect_near(
      x, [&](int64_t t, int64_t c) { return 3.5 * table.at(tokens[static_cast<size_t>(t)], c); }, kEps32);
  add_embedding_gradient(dtable, dx, tokens, 3.5f);
  const auto loss = [&] { return embedding(x.t(), tokens, table.t(), ex_, 3.5f), dot(x, dx); };
  for (int64_t i = 0; i < 100; ++i) EXPECT_NEAR(dtable.get(i), derivative(loss, table, i), 5e-4);
}

TEST_F(Elementwise, ABiasIsAddedToEachRowAndItsGradientIsTheSumOfRows) {
  for (DType dtype : kTypes) {
    for (int64_t N : kWidths) {
      const Matrix bias = Matrix::random(dtype, 1, N, 1), before = Matrix::random(DType::f32, 37, N, 2),
                   dy = Matrix::random(dtype, 37, N, 3);
      Matrix y = before, dbias = Matrix::random(DType::f32, 1, N, 4);  // overwritten
      add_bias(y.t(), bias.t(), ex_);
      expect_near(
          y, [&](int64_t t, int64_t n) { return before.at(t, n) + bias.at(0, n); }, 0);
      bias_backward(dbias.t(), dy.t(), ex_);
      expect_near(
          dbias,
          [&](int64_t, int64_t n) {
            float sum = 0;  // in the order of t: equal bits
            for (int64_t t = 0; t < 37; ++t) sum += dy.at(t, n);
            return sum;
          },
          0);
    }
  }
}

TEST_F(Elementwise, ThreadsDoNotChangeBits) {
  const int64_t T = 301, C = 130;
  const Matrix dy = Matrix::random(DType::f32, T, C, 3);
  const std::vector<int32_t> rows = random_ids(T, 40, 6);
  const auto run = [&](int threads) {
    ExecOwner owner(threads);
    Matrix sums(DType::f32, 40, C), dbias(DType::f32, 1, C);
    scatter_add_rows(sums.t(), dy.t(), rows, owner.exec());
    bias_backward(dbias.t(), dy.t(), owner.exec());
    return std::vector<Matrix>{sums, dbias};
  };
  const std::vector<Matrix> one = run(1);
  EXPECT_TRUE(run(2) == one && run(3) == one);
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

TEST_F(Elementwise, CastRoundsEveryUpperHalfAsOneNumber) {
  constexpr int64_t kUppers = 1 << 16;
  for (const uint32_t low : {0x0000u, 0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
    Matrix x(DType::f32, 1, kUppers), y(DType::bf16, 1, kUppers);
    for (const uint32_t step : {1u, 40503u}) {  // neighbours in a vector, or numbers of all sizes
      for (uint32_t i = 0; i < kUppers; ++i) x.set(i, std::bit_cast<float>((i * step) << 16 | low));
      cast(y.t(), x.t(), ex_);
      for (int64_t i = 0; i < kUppers; ++i)
        ASSERT_EQ(y.t().b16()[i].bits, to_bf16(x.get(i)).bits) << std::hex << std::bit_cast<uint32_t>(x.get(i));
    }
  }
}

TEST_F(Elementwise, GatherAndScatterAreTransposes) {
  for (DType dtype : kTypes) {
    const Matrix x = Matrix::random(dtype, 12, 70, 1);
    const std::vector<int32_t> rows = random_ids(30, 12, 2);
    Matrix y(dtype, 30, 70);
    gather_rows(y.t(), x.t(), rows, ex_);
    for (int64_t i = 0; i < 30; ++i) ASSERT_EQ(y.row_bytes(i), x.row_bytes(rows[static_cast<size_t>(i)]));
    const Matrix other = Matrix::random(dtype, 5, 70, 7);
    std::vector<int32_t> of_two = random_ids(30, 17, 8);
    for (int32_t& row : of_two) row -= 5;  // below zero: of the other
    gather_rows(y.t(), x.t(), of_two, ex_, other.t());
    for (int64_t i = 0; i < 30; ++i) {
      const int32_t row = of_two[static_cast<size_t>(i)];
      ASSERT_EQ(y.row_bytes(i), row >= 0 ? x.row_bytes(row) : other.row_bytes(-1 - row));
    }
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

TEST_F(Elementwise, RefusesWrongShapesIdsAndTypes) {
  Matrix x(DType::f32, 4, 8), half(DType::bf16, 4, 8), wide(DType::f32, 4, 16), gain(DType::f32, 1, 8);
  const std::vector<int32_t> ids = {0, 1, 2, 4};
  ExitCode code = ExitCode::kOk;
  EXPECT_NE(message_of([&] { embedding(x.t(), ids, x.t(), ex_); }, code).find("embedding: row 4 of a matrix of 4 rows"),
            std::string::npos);
  EXPECT_EQ(code, ExitCode::kInternal);
  EXPECT_THROW(embedding(wide.t(), ids, x.t(), ex_), Error);
  const std::vector<int32_t> known = {0, 1, 2};
  Matrix three(DType::f32, 3, 8);
  EXPECT_THROW(embedding_backward(x.t(), {ids, x.t()}, x.t(), ids, ex_), Error) << "row 4 of 4";
  EXPECT_THROW(embedding_backward(x.t(), {known, three.t()}, x.t(), std::vector<int32_t>{0, 1, 2, 3}, ex_), Error);
  EXPECT_THROW(embedding_backward(x.t(), {known, x.t()}, x.t(), std::vector<int32_t>{0, 1, 2, 2}, ex_), Error);
  EXPECT_THROW(gather_rows(x.t(), x.t(), ids, ex_), Error);
  EXPECT_THROW(gather_rows(x.t(), x.t(), std::vector<int32_t>{0, 1, 2, -1}, ex_), Error) << "there is no other matrix";
  EXPECT_THROW(gather_rows(x.t(), x.t(), std::vector<int32_t>{0, 1, 2, -5}, ex_, x.t()), Error) << "of 4 rows";
  EXPECT_THROW(gather_rows(x.t(), x.t(), std::vector<int32_t>{0, 1, 2, 3}, ex_, half.t()), Error);
  EXPECT_THROW(scatter_add_rows(x.t(), x.t(), ids, ex_), Error);
  EXPECT_THROW(gather_rows(half.t(), x.t(), std::vector<int32_t>{0, 1, 2, 3}, ex_), Error);
  EXPECT_THROW(add_bias(wide.t(), gain.t(), ex_), Error);
  EXPECT_THROW(add_bias(half.t(), gain.t(), ex_), Error);
  EXPECT_THROW(bias_backward(gain.t(), wide.t(), ex_), Error);
  EXPECT_THROW(cast(x.t(), wide.t(), ex_), Error);
  EXPECT_THROW(cast({x.t().data, DType::i32, {4, 8}}, x.t(), ex_), Error);
}

}  // namespace
}  // namespace cohort
