// Embedding, RMSNorm, SwiGLU and casts: the ops that touch each row on its own. Threads share out rows (forward) or
// columns (sums over rows), never one sum, so bits do not depend on T's neighbours or on threads.
//
// "act" below is the activation dtype, f32 or bf16; the residual stream x is always f32.
#pragma once

#include <cstdint>
#include <span>

#include "model/exec.h"
#include "model/tensor.h"

namespace cohort {

// x[t] = table[tokens[t]].          tokens: T ids in [0, V)   table (V, C) act   x (T, C) f32
void embedding(Tensor x, std::span<const int32_t> tokens, Tensor table, const Exec& ex);
// dtable[tokens[t]] += dx[t], in the order of t.                dtable (V, C) f32
void embedding_backward(Tensor dtable, Tensor dx, std::span<const int32_t> tokens, const Exec& ex);

// Root mean square norm (Zhang and Sennrich 2019): y = x / sqrt(mean(x^2) + eps) * gain.
// x (T, C) f32   gain (C) act   y (T, C) act   rstd (T) f32, kept for the backward pass (may be null)
void rmsnorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, float eps, const Exec& ex);
// dx += dL/dx, dgain += dL/dgain.   dx (T, C) f32   dgain (C) f32   dy (T, C) f32
void rmsnorm_backward(Tensor dx, Tensor dgain, Tensor dy, Tensor x, Tensor gain, Tensor rstd, const Exec& ex);

// SwiGLU (Shazeer 2020): y = silu(gate) * up, silu(z) = z / (1 + exp(-z)).
// gate_up (T, 2F) act: gate in the first F columns, up in the last F     y (T, F) act
void swiglu(Tensor y, Tensor gate_up, const Exec& ex);
// dgate_up (T, 2F) act, overwritten     dy (T, F) act
void swiglu_backward(Tensor dgate_up, Tensor dy, Tensor gate_up, const Exec& ex);

// y = x in y's dtype (f32 <-> bf16, round to nearest even). Same shape.
void cast(Tensor y, Tensor x, const Exec& ex);

// y[i] = x[rows[i]].   x (T, C)  y (n, C), one dtype
void gather_rows(Tensor y, Tensor x, std::span<const int32_t> rows, const Exec& ex);
// dx[rows[i]] += dy[i], in the order of i.    dx (T, C) f32  dy (n, C) f32
void scatter_add_rows(Tensor dx, Tensor dy, std::span<const int32_t> rows, const Exec& ex);

}  // namespace cohort
