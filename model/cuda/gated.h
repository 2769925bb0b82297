// Gated linear units on the GPU: shapes and meaning as in ops/gated.h.
#pragma once

#include "model/cuda/stream.h"
#include "model/tensor.h"

namespace cohort::cuda {

void swiglu(Tensor y, Tensor gate_up, Stream stream);
void swiglu_backward(Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Stream stream);

void geglu(Tensor y, Tensor gate_up, Stream stream);
void geglu_backward(Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Stream stream);

}  // namespace cohort::cuda
