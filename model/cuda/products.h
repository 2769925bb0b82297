// What matmul.cpp calls of products.cpp: one product by cuBLASLt. Private to model/cuda.
#pragma once

#include <cstdint>

#include "model/cuda/matmul.h"

namespace cohort::cuda {

// A weight (n, k) with `rows` rows: y = x w^T (forward), dx = dy w (input), dw = dy^T x (weight).
struct Product {
  Direction direction;
  DType in, out;
  int64_t n, k, rows;
};

// out = left right, or out += left right: left and right are x and w (forward), dy and w (input), dy and x (weight).
void multiply(Products& products, const Product& product, void* out, const void* left, const void* right,
              bool accumulate, Stream stream);

}  // namespace cohort::cuda
