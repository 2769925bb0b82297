// TakenRows: rows of a matrix that are read where they were left, in another order.
#pragma once

#include <cstdint>
#include <span>

#include "core/check.h"
#include "model/tensor.h"

namespace cohort {

// Row i is row index[i] of `from`, or row -1 - index[i] of `other` where index[i] < 0. Without an index, the rows of `from`.
// On the CPU alone: a GPU's ops take whole matrices (gather_rows in ops/elementwise.h makes one).
struct TakenRows {
  Tensor from;
  std::span<const int32_t> index;
  Tensor other;

  TakenRows() = default;
  TakenRows(Tensor whole) : from(whole) {}  // NOLINT: every matrix is its own rows
  TakenRows(Tensor from, std::span<const int32_t> index, Tensor other = {}) : from(from), index(index), other(other) {}

  bool whole() const { return index.data() == nullptr; }
  int64_t rows() const { return whole() ? from.rows() : static_cast<int64_t>(index.size()); }
  int64_t cols() const { return from.cols(); }
  DType dtype() const { return from.dtype; }
  Tensor matrix() const {
    CHECK(whole(), "rows of a matrix in another order, where a whole one is wanted");
    return from;
  }
  template <typename T>
  const T* row(int64_t i) const {
    const int64_t at = whole() ? i : index[static_cast<size_t>(i)];
    return at >= 0 ? static_cast<const T*>(from.data) + at * cols() : static_cast<const T*>(other.data) + (-1 - at) * cols();
  }
  // Every row is one of `from` or `other`, which are alike.
  void check(const char* op) const {
    const int64_t others = other ? other.rows() : 0;
    CHECK(!other || (other.cols() == from.cols() && other.dtype == from.dtype), "{}: rows of {} and of {}, of unlike types or widths", op, dtype_name(from.dtype),
          dtype_name(other.dtype));
    for (int32_t at : index)
      CHECK(at < from.rows() && at >= -others, "{}: row {} of matrices of {} and {} rows", op, at, from.rows(), others);
  }
};

}  // namespace cohort
