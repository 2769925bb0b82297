// Ops of the optimizer on the GPU: meaning as in ops/update.h, and the same bits. All vectors are tensors of the device, f32
// where nothing else is said.
#pragma once

#include <cstdint>
#include <span>

#include "model/cuda/stream.h"
#include "model/ops/update.h"
#include "model/tensor.h"

namespace cohort::cuda {

// weight (n) f32, or bf16 with low (n), which has the size of bf16; m, v and what their signs say as in AdamWState.
void adamw(Tensor weight, Tensor low, Tensor m, Tensor v, Tensor gradient, const AdamWStep& step, Stream stream);

// sum = the terms added up in order, elementwise: each goes on a stack, and then, merges[i] times after term i, the two
// sums on top become one, the lower plus the upper (RowPart::merges). No merges: ((term 0 + term 1) + term 2) + ...
// At most 16 terms; `sum` may be one of them.
void ordered_sum(Tensor sum, std::span<const Tensor> terms, std::span<const int> merges, Stream stream);

// Bytes of device memory that sum_of_squares of n numbers works in, for any data that is aligned as doubles are.
size_t sum_of_squares_scratch(int64_t n);
// *result = the sum of squares of `data` in double, in chunks and tree of ops/update.h. The gradient's norm is its root.
// result, scratch: device memory.
void sum_of_squares(double* result, Tensor data, void* scratch, Stream stream);

// Bytes of device memory that find_non_finite of n numbers works in.
size_t find_non_finite_scratch(int64_t n);
// *index = the first element that is NaN or infinite, or -1.    index, scratch: device memory
void find_non_finite(int64_t* index, Tensor data, void* scratch, Stream stream);

}  // namespace cohort::cuda
