// The gradient of a weight with a look at each part's sum. Private to model/cuda.
#pragma once

#include <functional>
#include <span>

#include "model/cuda/matmul.h"

namespace cohort::cuda {

// Called when the sum of part `part`, (N, K) f32 on the device, is on the stream and has not yet met another.
using PartSum = std::function<void(int64_t part, const float* sum)>;

// As matmul_backward_weight; scratch as its, of the same parts, and one (N, K) more where `look` is there.
void part_products(Tensor dw, Tensor dy, Tensor x, Products& products, Tensor scratch, Stream stream,
                   std::span<const RowPart> parts, const PartSum& look);
int64_t part_products_scratch(int64_t n, int64_t k, std::span<const RowPart> parts, bool look);

}  // namespace cohort::cuda
