// Root mean square norms (Zhang and Sennrich 2019): y = x / sqrt(mean(x^2) + eps) * (offset + gain). Threads share out
// rows (forward) or columns (sums over rows), never one sum, so bits do not depend on T's neighbours or on threads.
#pragma once

#include <cstdint>
#include <span>

#include "model/exec.h"
#include "model/ops/row_parts.h"
#include "model/ops/taken_rows.h"
#include "model/tensor.h"

namespace cohort {

struct NormParams {
  float eps;
  float offset = 0;  // Gemma's norms multiply by 1 + gain
};

// x (T, C) f32   gain (C) act   y (T, C), the gain's dtype   rstd (T) f32, kept for the backward pass (may be null)
void rmsnorm(Tensor y, Tensor rstd, TakenRows x, Tensor gain, const NormParams& params, const Exec& ex);
// sum += norm(x).   sum (T, C) f32: the residual stream after a sandwich norm
void rmsnorm_add(Tensor sum, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, const Exec& ex);
// Of both: dx += dL/dx; dgain = dL/dgain, the sum over rows in parts.   dx (T, C) f32   dgain (C) f32   dy (T, C) f32
void rmsnorm_backward(Tensor dx, Tensor dgain, Tensor dy, TakenRows x, Tensor gain, Tensor rstd, float offset,
                      const Exec& ex, std::span<const RowPart> parts = {});

// Heads of queries and keys in a row of q, k, v.
struct QkHeads {
  int64_t num_heads, num_kv_heads, head_size;
};
// Norms each head of the q part by q_gain and of the k part by k_gain, in place; v stays.
// qkv (T, (H + 2K) D) f32   gains (D) act   for the backward pass, both may be null: raw (T, (H + K) D) f32, what stood
// there before, and rstd (T, H + K) f32
void qk_norm(Tensor qkv, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain, const QkHeads& heads,
             const NormParams& params, const Exec& ex);
// In place: dqkv (T, (H + 2K) D) f32, the gradient after the norm in and before it out; dq_gain, dk_gain (D) f32, the
// sums over rows in parts.
void qk_norm_backward(Tensor dqkv, Tensor dq_gain, Tensor dk_gain, Tensor raw, Tensor rstd, Tensor q_gain,
                      Tensor k_gain, const QkHeads& heads, float offset, const Exec& ex,
                      std::span<const RowPart> parts = {});

}  // namespace cohort
