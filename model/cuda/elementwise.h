// Biases, casts and row moves on the GPU: shapes and meaning as in ops/elementwise.h, and the same bits but for sums over
// rows in parts (row_parts.cuh).
#pragma once

#include <cstdint>
#include <span>

#include "model/cuda/embedding.h"
#include "model/cuda/stream.h"
#include "model/ops/row_parts.h"
#include "model/tensor.h"

namespace cohort::cuda {

void add_bias(Tensor y, Tensor bias, Stream stream);
// Numbers that `scratch` (f32) of bias_backward holds, for T rows of N.
int64_t bias_backward_scratch(int64_t rows, int64_t columns, std::span<const RowPart> parts = {});
void bias_backward(Tensor dbias, Tensor dy, Tensor scratch, Stream stream, std::span<const RowPart> parts = {});

void cast(Tensor y, Tensor x, Stream stream);

// rows (n) i32 on the device: whoever makes them checks them. A row outside of both gives NaN, and nothing is read.
void gather_rows(Tensor y, Tensor x, Tensor rows, Stream stream, Tensor other = {});

// The order of scatter_add_rows, made on the host; `numbers` go to the device. Exit code 1 for a row outside [0, dx_rows).
EmbeddingOrder scatter_order(std::span<const int32_t> rows, int64_t dx_rows);
// dx[rows[i]] += dy[i], in the order of i.    device_order: order.numbers on the device
void scatter_add_rows(Tensor dx, Tensor dy, const EmbeddingOrder& order, Tensor device_order, Stream stream);

}  // namespace cohort::cuda
