// A classifier's head of one label, whose score of a row is h . w (a matmul): its gradient.
#pragma once

#include <span>

#include "model/exec.h"
#include "model/ops/matmul.h"
#include "model/ops/row_parts.h"
#include "model/tensor.h"

namespace cohort {

// dh[i] = dscores[i] w and dw = sum over rows of dscores[i] h[i], in parts, all in f32: a gradient of scores is not rounded to the dtype
// of activations, as one of logits is not.    dh (n, C) f32   dw (1, C) f32, overwritten.    On the CPU only.
void head_scores_backward(Tensor dh, Tensor dw, std::span<const float> dscores, Tensor h, const PackedWeight& w, const Exec& ex,
                          std::span<const RowPart> parts = {});

}  // namespace cohort
