// Matrices for the tests of products: random, in either dtype, with access as numbers and as bits.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "core/rng.h"
#include "model/tensor.h"

namespace cohort {

inline constexpr float kEps32 = 0x1p-23f, kEps16 = 0x1p-7f;  // distance from 1 to the next number

class Matrix {
 public:
  Matrix(DType dtype, int64_t rows, int64_t cols)
      : rows(rows), cols(cols), dtype(dtype), bytes_(static_cast<size_t>(rows * cols) * dtype_size(dtype)) {}
  static Matrix random(DType dtype, int64_t rows, int64_t cols, uint64_t seed, float scale = 1.0f) {
    Matrix m(dtype, rows, cols);
    Random random(seed, Stream::kTest);
    for (int64_t i = 0; i < rows * cols; ++i) m.set(i, scale * random.normal());
    return m;
  }

  // A view that ops may write through.
  Tensor t() const { return {const_cast<std::byte*>(bytes_.data()), dtype, {rows, cols}}; }
  float at(int64_t row, int64_t col) const { return get(row * cols + col); }
  float get(int64_t i) const { return dtype == DType::bf16 ? to_float(t().b16()[i]) : t().f32()[i]; }
  void set(int64_t i, float value) {
    if (dtype == DType::bf16) {
      t().b16()[i] = to_bf16(value);
    } else {
      t().f32()[i] = value;
    }
  }
  void fill(float value) {
    for (int64_t i = 0; i < rows * cols; ++i) set(i, value);
  }
  std::vector<std::byte> row_bytes(int64_t row) const {
    const size_t size = static_cast<size_t>(cols) * dtype_size(dtype);
    return {bytes_.begin() + row * static_cast<int64_t>(size), bytes_.begin() + (row + 1) * static_cast<int64_t>(size)};
  }
  void set_row(int64_t row, const Matrix& from, int64_t from_row) {
    const std::vector<std::byte> copy = from.row_bytes(from_row);
    std::copy(copy.begin(), copy.end(), bytes_.begin() + row * static_cast<int64_t>(copy.size()));
  }
  // The matrix of the given rows.
  Matrix take(const std::vector<int64_t>& indices) const {
    Matrix m(dtype, static_cast<int64_t>(indices.size()), cols);
    for (size_t i = 0; i < indices.size(); ++i) m.set_row(static_cast<int64_t>(i), *this, indices[i]);
    return m;
  }
  bool operator==(const Matrix& other) const { return bytes_ == other.bytes_; }

  int64_t rows, cols;
  DType dtype;

 private:
  std::vector<std::byte> bytes_;
};

inline std::string describe(const Matrix& m) {
  return std::string(dtype_name(m.dtype)) + " (" + std::to_string(m.rows) + ", " + std::to_string(m.cols) + ")";
}

// What `body` throws: its message, or "" when it throws nothing; `code` gets the exit code.
template <typename Body>
std::string message_of(Body body, ExitCode& code) {
  try {
    body();
  } catch (const Error& error) {
    code = error.code();
    return error.what();
  }
  return "";
}

}  // namespace cohort
