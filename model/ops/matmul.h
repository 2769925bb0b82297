// Matrix products with weights. Each output element is one sum over the contraction in one fixed order, whatever the
// number of rows, the row's place among them, or the number of threads: the base of "same bits" (docs/architecture.md).
//
// x, w and dy have one dtype, f32 or bf16; sums are f32.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "model/exec.h"
#include "model/ops/row_parts.h"
#include "model/tensor.h"

namespace cohort {

// A weight (N, K) laid out for the products on its device: all that there is of a weight, its elements can be had back.
class PackedWeight {
 public:
  PackedWeight();
  ~PackedWeight();
  PackedWeight(PackedWeight&&) noexcept;
  PackedWeight& operator=(PackedWeight&&) noexcept;

  struct Impl;  // the CPU's
  std::unique_ptr<Impl> impl;
  int64_t n = 0, k = 0;
  DType dtype = DType::f32;
  Tensor flat;  // (n, k) on a GPU, whose products read it as it is: a part of Policy::weights. There is no impl then
};

// Takes the weight w; packing again reuses memory. A weight that has none takes some: out of memory is exit code 6.
void pack_weight(PackedWeight& packed, Tensor w, const Exec& ex);
// Replaces elements [begin, begin + flat.size()) of a weight whose n, k and dtype are set; before the first span all are 0.
void pack_span(PackedWeight& packed, int64_t begin, Tensor flat, const Exec& ex);
// The way back, on the calling thread: flat = elements [begin, begin + flat.size()), row by row.
void unpack_span(Tensor flat, const PackedWeight& packed, int64_t begin);

// Gives weights whose n, k and dtype are set the memory that their packing will need, in one piece: a model's weights are
// then read through few, large pages. Pages take memory once they are packed.
void reserve_packed(std::span<PackedWeight* const> weights);

// y = x w^T, or y += x w^T (y f32 only).      x (T, K)  w (N, K)  y (T, N), f32 or the dtype of x
void matmul(Tensor y, Tensor x, const PackedWeight& w, const Exec& ex, bool accumulate = false);

// x[t] = scale * row rows[t] of w: an embedding that is tied to the packed head.   rows: T in [0, N)   x (T, K) f32
// Equal bits to embedding() from the plain weight.
void packed_rows(Tensor x, const PackedWeight& w, std::span<const int32_t> rows, float scale, const Exec& ex);

// dx = dy w, or dx += dy w (dx f32 only).     dy (T, N)  w (N, K)  dx (T, K), f32 or the dtype of dy
void matmul_backward_input(Tensor dx, Tensor dy, const PackedWeight& w, const Exec& ex, bool accumulate = false);

// dw = dy^T x, the sum over rows in parts.    dy (T, N)  x (T, K)  dw (N, K), f32, overwritten
void matmul_backward_weight(Tensor dw, Tensor dy, Tensor x, const Exec& ex, std::span<const RowPart> parts = {});

}  // namespace cohort
