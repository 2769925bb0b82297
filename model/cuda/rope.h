// Rotary position embedding on the GPU: shapes and meaning as in ops/rope.h, with positions (T) i32 and the inverse
// frequencies (D / 2) f32 as device tensors. Positions are not looked at by the host: they must not be negative.
#pragma once

#include "model/cuda/stream.h"
#include "model/tensor.h"

namespace cohort::cuda {

void rope_split(Tensor q, Tensor k, Tensor v, Tensor qkv, Tensor positions, Tensor inverse_frequency, int64_t num_heads,
                int64_t num_kv_heads, Stream stream);
void rope_split_backward(Tensor dqkv, Tensor dq, Tensor dk, Tensor dv, Tensor positions, Tensor inverse_frequency,
                         int64_t num_heads, int64_t num_kv_heads, Stream stream);

}  // namespace cohort::cuda
