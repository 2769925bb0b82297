// What the tests of ops on rows share: twins in double, finite differences.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "core/rng.h"
#include "tests/ops/random_matrix.h"

namespace cohort {

inline constexpr DType kTypes[] = {DType::f32, DType::bf16};
inline constexpr int64_t kWidths[] = {1, 16, 50, 64, 576, 1000};

// Half a unit in the last place of the storage, on top of `ulps` of f32 arithmetic.
inline double tolerance(DType dtype, double ulps) { return ulps * kEps32 + (dtype == DType::bf16 ? 0.5 * kEps16 : 0); }

inline void expect_near(const Matrix& m, const std::function<double(int64_t, int64_t)>& wanted, double tolerance,
                 double floor = 0) {
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t c = 0; c < m.cols; ++c)
      ASSERT_NEAR(m.at(r, c), wanted(r, c), tolerance * (std::abs(wanted(r, c)) + floor))
          << "row " << r << " column " << c;
}

inline std::vector<int32_t> random_ids(int64_t n, int64_t limit, uint64_t seed) {
  Random random(seed, Stream::kTest);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.between(0, limit - 1));
  return ids;
}

// Central difference of loss() in *x; the step is a power of two so that x + step - x is the step.
inline double derivative(const std::function<double()>& loss, Matrix& x, int64_t i, float step = 0x1p-7f) {
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

inline double dot(const Matrix& a, const Matrix& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.rows * a.cols; ++i) sum += static_cast<double>(a.get(i)) * b.get(i);
  return sum;
}

class RowOps : public testing::Test {
 protected:
  explicit RowOps(int threads = 2) : owner_(threads) {}
  ExecOwner owner_;
  Exec ex_ = owner_.exec();
};

}  // namespace cohort
