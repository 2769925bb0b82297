// Root mean square norms on the GPU: shapes, meaning and gradients as in ops/norm.h.
#pragma once

#include <cstdint>
#include <span>

#include "model/cuda/stream.h"
#include "model/ops/norm.h"
#include "model/tensor.h"

namespace cohort::cuda {

void rmsnorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, Stream stream);
void rmsnorm_add(Tensor sum, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, Stream stream);

// Numbers that `scratch` (f32) of rmsnorm_backward holds, for T rows of C.
int64_t rmsnorm_backward_scratch(int64_t rows, int64_t columns, std::span<const RowPart> parts = {});
// dx is added to, dgain overwritten.
void rmsnorm_backward(Tensor dx, Tensor dgain, Tensor dy, Tensor x, Tensor gain, Tensor rstd, float offset,
                      Tensor scratch, Stream stream, std::span<const RowPart> parts = {});

// Of head sizes up to 256. dqkv is replaced in place, dq_gain and dk_gain overwritten; raw and rstd may be null forward.
void qk_norm(Tensor qkv, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain, const QkHeads& heads,
             const NormParams& params, Stream stream);
int64_t qk_norm_backward_scratch(int64_t rows, int64_t head_size, std::span<const RowPart> parts = {});
void qk_norm_backward(Tensor dqkv, Tensor dq_gain, Tensor dk_gain, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain,
                      const QkHeads& heads, float offset, Tensor scratch, Stream stream, std::span<const RowPart> parts = {});

}  // namespace cohort::cuda
