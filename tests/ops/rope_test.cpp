// Rotary embeddings against sine and cosine of the C library, their transpose, and the promise of equal bits.
#include "model/ops/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/rng.h"
#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

struct Shape {
  int64_t heads, kv_heads, size;
  int64_t width() const { return (heads + 2 * kv_heads) * size; }
};
const std::vector<Shape> kShapes = {{9, 3, 64}, {2, 2, 16}, {4, 1, 80}, {3, 1, 128},
                                    {2, 1, 10}, {1, 1, 2},  {1, 1, 256}};

struct Split {
  Matrix q, k, v;
  Split(const Shape& s, DType dtype, int64_t rows)
      : q(dtype, rows, s.heads * s.size), k(dtype, rows, s.kv_heads * s.size), v(dtype, rows, s.kv_heads * s.size) {}
};

std::vector<int32_t> some_positions(int64_t n) {
  std::vector<int32_t> positions = {0, 1, 2, 511, 8191, 131071, 1000000};
  Random random(3, Stream::kTest);
  while (static_cast<int64_t>(positions.size()) < n)
    positions.push_back(static_cast<int32_t>(random.between(0, 40000)));
  positions.resize(static_cast<size_t>(n));
  return positions;
}

TEST(Rope, FrequenciesAreThoseOfTransformers) {
  // 1 / 10000^(2i / 8), as torch gives them in f32.
  const std::vector<float> f = rope_inverse_frequencies(8, 10000.0f);
  ASSERT_EQ(f.size(), 4u);
  EXPECT_FLOAT_EQ(f[0], 1.0f);
  EXPECT_FLOAT_EQ(f[1], 0.1f);
  EXPECT_FLOAT_EQ(f[2], 0.01f);
  EXPECT_FLOAT_EQ(f[3], 0.001f);
  EXPECT_FLOAT_EQ(rope_inverse_frequencies(64, 100000.0f)[31], static_cast<float>(std::pow(100000.0, -62.0 / 64)));
  EXPECT_THROW(rope_inverse_frequencies(7, 10000.0f), Error);
  EXPECT_THROW(rope_inverse_frequencies(8, 0.0f), Error);
}

TEST(Rope, RotatesByTheF32Angle) {
  ExecOwner owner(2);
  for (const Shape& s : kShapes) {
    for (DType dtype : {DType::f32, DType::bf16}) {
      const int64_t rows = 40, half = s.size / 2;
      const Matrix qkv = Matrix::random(DType::f32, rows, s.width(), 1);
      const std::vector<int32_t> positions = some_positions(rows);
      const std::vector<float> frequencies = rope_inverse_frequencies(s.size, 100000.0f);
      Split out(s, dtype, rows);
      rope_split(out.q.t(), out.k.t(), out.v.t(), qkv.t(), positions, frequencies, s.heads, s.kv_heads, owner.exec());
      for (int64_t t = 0; t < rows; ++t) {
        for (int64_t h = 0; h < s.heads + s.kv_heads; ++h) {
          for (int64_t i = 0; i < half; ++i) {
            // The angle is rounded to f32, its sine and cosine too; with angles up to 10^6 the order matters.
            const float angle = static_cast<float>(positions[t]) * frequencies[i];
            const double c = static_cast<float>(std::cos(double{angle})),
                         sn = static_cast<float>(std::sin(double{angle}));
            const double a = qkv.at(t, h * s.size + i), b = qkv.at(t, h * s.size + half + i);
            const Matrix& m = h < s.heads ? out.q : out.k;
            const int64_t at = (h < s.heads ? h : h - s.heads) * s.size + i;
            const double rounding = dtype == DType::bf16 ? 0.5 * kEps16 : 0, size = std::abs(a) + std::abs(b);
            ASSERT_NEAR(m.at(t, at), a * c - b * sn, size * 2 * kEps32 + rounding * std::abs(a * c - b * sn));
            ASSERT_NEAR(m.at(t, at + half), b * c + a * sn, size * 2 * kEps32 + rounding * std::abs(b * c + a * sn));
          }
        }
        for (int64_t i = 0; i < s.kv_heads * s.size; ++i) {
          const float v = qkv.at(t, (s.heads + s.kv_heads) * s.size + i);
          ASSERT_EQ(out.v.at(t, i), dtype == DType::bf16 ? to_float(to_bf16(v)) : v);
        }
      }
    }
  }
}

TEST(Rope, BackwardIsTheTransposeAndTheDerivative) {
  ExecOwner owner(1);
  const Exec ex = owner.exec();
  for (const Shape& s : kShapes) {
    const int64_t rows = 9;
    Matrix qkv = Matrix::random(DType::f32, rows, s.width(), 1);
    const std::vector<int32_t> positions = some_positions(rows);
    const std::vector<float> frequencies = rope_inverse_frequencies(s.size, 10000.0f);
    Split out(s, DType::f32, rows), d(s, DType::f32, rows);
    uint64_t seed = 2;
    for (Matrix* m : {&d.q, &d.k, &d.v}) *m = Matrix::random(DType::f32, rows, m->cols, seed++);
    Matrix dqkv(DType::f32, rows, s.width());
    rope_split_backward(dqkv.t(), d.q.t(), d.k.t(), d.v.t(), positions, frequencies, s.heads, s.kv_heads, ex);
    const auto loss = [&] {
      rope_split(out.q.t(), out.k.t(), out.v.t(), qkv.t(), positions, frequencies, s.heads, s.kv_heads, ex);
      double sum = 0;
      for (auto [a, b] : {std::pair(&out.q, &d.q), {&out.k, &d.k}, {&out.v, &d.v}})
        for (int64_t i = 0; i < a->rows * a->cols; ++i) sum += static_cast<double>(a->get(i)) * b->get(i);
      return sum;
    };
    double product = 0;
    for (int64_t i = 0; i < rows * s.width(); ++i) product += static_cast<double>(qkv.get(i)) * dqkv.get(i);
    EXPECT_NEAR(product, loss(), 1e-5 * std::sqrt(static_cast<double>(rows * s.width())));
    // Linear in qkv: a step of 1 has no error but rounding.
    for (int64_t i = 0; i < rows * s.width(); i += 1 + s.width() / 13) {
      const float kept = qkv.get(i);
      qkv.set(i, kept + 1.0f);
      const double up = loss();
      qkv.set(i, kept - 1.0f);
      const double down = loss();
      qkv.set(i, kept);
      ASSERT_NEAR(dqkv.get(i), (up - down) / 2, 2e-5) << "head size " << s.size << " element " << i;
    }
  }
}

TEST(Rope, ThreadsAndNeighboursDoNotChangeBits) {
  const Shape s{9, 3, 64};
  const int64_t rows = 200;
  const Matrix qkv = Matrix::random(DType::f32, rows, s.width(), 1);
  const std::vector<int32_t> positions = some_positions(rows);
  const std::vector<float> frequencies = rope_inverse_frequencies(s.size, 10000.0f);
  const auto run = [&](int threads, const Matrix& in, const std::vector<int32_t>& at) {
    ExecOwner owner(threads);
    Split out(s, DType::bf16, in.rows);
    rope_split(out.q.t(), out.k.t(), out.v.t(), in.t(), at, frequencies, s.heads, s.kv_heads, owner.exec());
    return out;
  };
  const Split one = run(1, qkv, positions), three = run(3, qkv, positions),
              row = run(1, qkv.take({77}), {positions[77]});
  EXPECT_TRUE(one.q == three.q && one.k == three.k && one.v == three.v);
  EXPECT_EQ(row.q.row_bytes(0), one.q.row_bytes(77));
  EXPECT_EQ(row.k.row_bytes(0), one.k.row_bytes(77));
}

TEST(Rope, RefusesWrongShapes) {
  ExecOwner owner(1);
  const Shape s{2, 1, 8};
  const Matrix qkv(DType::f32, 3, s.width());
  Split out(s, DType::f32, 3), other(s, DType::bf16, 3);
  const std::vector<float> frequencies = rope_inverse_frequencies(8, 10000.0f), wide(129, 1.0f);
  const auto run = [&](Split& to, std::vector<int32_t> positions, const std::vector<float>& f) {
    rope_split(to.q.t(), out.k.t(), out.v.t(), qkv.t(), positions, f, 2, 1, owner.exec());
  };
  EXPECT_NO_THROW(run(out, {0, 1, 2}, frequencies));
  EXPECT_THROW(run(out, {0, 1}, frequencies), Error);
  EXPECT_THROW(run(out, {0, 1, -2}, frequencies), Error);
  EXPECT_THROW(run(out, {0, 1, 2}, wide), Error);
  EXPECT_THROW(run(out, {0, 1, 2}, {}), Error);
  EXPECT_THROW(run(other, {0, 1, 2}, frequencies), Error);
}

}  // namespace
}  // namespace cohort
