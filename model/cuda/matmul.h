// Matrix products with weights on the GPU, by cuBLASLt: shapes and meaning as in ops/matmul.h, with weights as plain
// (N, K) matrices.
//
// Strict numerics: one algorithm for each product (direction, types, N, K), whatever the number of rows, and none that
// splits the contraction. An element's sum then runs in the one order of that algorithm's kernel, so a row's bits do not
// depend on how many rows go with it (`check_rows_alike` looks whether the library keeps to that).
//
// Fast numerics: the library's first choice for each power of two of rows; it may split the contraction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/cuda/stream.h"
#include "model/device.h"
#include "model/ops/row_parts.h"
#include "model/tensor.h"

namespace cohort::cuda {

enum class Direction : uint8_t { forward, input, weight };  // y = x w^T, dx = dy w, dw = dy^T x

// The library, memory that it works in, and the algorithm of each product. For one stream at a time.
class Products {
 public:
  explicit Products(Numerics numerics = Numerics::strict, size_t workspace_bytes = size_t{32} << 20);
  ~Products();

  Numerics numerics() const;
  // What was chosen, a line a product, sorted: for the run's manifest. A line names the product, the library's version,
  // the algorithm in words and the algorithm itself in hexadecimal digits.
  std::vector<std::string> record() const;
  // Takes the choices of a record, so that a run goes on with the same bits, also for products that were chosen otherwise by now.
  // Exit code 3 where a line is damaged, comes from another version of the library or (here or at the product's next use) is
  // refused by this device.
  void restore(std::span<const std::string> record);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// y = x w^T, or y += x w^T (y f32 only).          x (T, K)  w (N, K)  y (T, N), f32 or the dtype of x
void matmul(Tensor y, Tensor x, Tensor w, Products& products, Stream stream, bool accumulate = false);
// dx = dy w, or dx += dy w (dx f32 only).         dy (T, N)  w (N, K)  dx (T, K), f32 or the dtype of dy
void matmul_backward_input(Tensor dx, Tensor dy, Tensor w, Products& products, Stream stream, bool accumulate = false);

// Numbers that `scratch` (f32) of matmul_backward_weight holds: sums that wait for others.
int64_t matmul_backward_weight_scratch(int64_t n, int64_t k, std::span<const RowPart> parts = {});
// dw = dy^T x, the sum over rows in parts.        dy (T, N)  x (T, K)  dw (N, K), f32, overwritten
void matmul_backward_weight(Tensor dw, Tensor dy, Tensor x, Products& products, Tensor scratch, Stream stream,
                            std::span<const RowPart> parts = {});

// Multiplies random rows by w, many together and some of them in smaller numbers, and compares bits. Exit code 1, naming the
// product, when they differ: this library's products are not fit for strict numerics. For the start of a program.
// direction: forward or input.    w (N, K), with numbers in it
void check_rows_alike(Direction direction, Tensor w, DType out, Products& products, Stream stream);

}  // namespace cohort::cuda
