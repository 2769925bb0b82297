// Gated linear units (Shazeer 2020): y = f(gate) * up, row by row.
// gate_up (T, 2F) act: gate in the first F columns, up in the last F     y, dy (T, F) act
// The backward passes give y again, with the bits of the forward pass: what comes after needs it, and it need not be kept. It may
// be dy.
#pragma once

#include "model/exec.h"
#include "model/ops/taken_rows.h"
#include "model/tensor.h"

namespace cohort {

// silu(z) = z / (1 + exp(-z))
void swiglu(Tensor y, Tensor gate_up, const Exec& ex);
// dgate_up (T, 2F) act, overwritten
void swiglu_backward(Tensor dgate_up, Tensor y, Tensor dy, TakenRows gate_up, const Exec& ex);

// gelu(z) = z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3)))   (Hendrycks and Gimpel 2016, the tanh form)
void geglu(Tensor y, Tensor gate_up, const Exec& ex);
void geglu_backward(Tensor dgate_up, Tensor y, Tensor dy, TakenRows gate_up, const Exec& ex);

}  // namespace cohort
