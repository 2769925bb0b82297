// Embedding, biases, casts and row moves: the ops that touch each row on its own. Threads share out rows (forward) or
// columns (sums over rows), never one sum, so bits do not depend on T's neighbours or on threads.
//
// "act" is the activation dtype, f32 or bf16; the residual stream x is always f32.
#pragma once

#include <cstdint>
#include <span>

#include "model/exec.h"
#include "model/ops/row_parts.h"
#include "model/tensor.h"

namespace cohort {

// x[t] = scale * table[tokens[t]].          tokens: T ids in [0, V)   table (V, C) act   x (T, C) f32
void embedding(Tensor x, std::span<const int32_t> tokens, Tensor table, const Exec& ex, float scale = 1);
// kept.sums[part of t][tokens[t]] += scale * dx[t], in the order of t; then dtable[row] = the sum over parts, for the
// rows that `kept` lists, which must be all that `tokens` names. Other rows stay.           dtable (V, C) f32
void embedding_backward(Tensor dtable, const KeptRows& kept, Tensor dx, std::span<const int32_t> tokens, const Exec& ex,
                        float scale = 1, std::span<const RowPart> parts = {});

// y[t] += bias.                             y (T, N) f32   bias (N) act
void add_bias(Tensor y, Tensor bias, const Exec& ex);
// dbias = the sum over rows of dy, in parts.   dbias (N) f32   dy (T, N) f32 or bf16
void bias_backward(Tensor dbias, Tensor dy, const Exec& ex, std::span<const RowPart> parts = {});

// y = x in y's dtype (f32 <-> bf16, round to nearest even). Same shape.
void cast(Tensor y, Tensor x, const Exec& ex);

// y[i] = x[rows[i]], or other[-1 - rows[i]] where rows[i] < 0.   x, other (T, C)  y (n, C), one dtype
void gather_rows(Tensor y, Tensor x, std::span<const int32_t> rows, const Exec& ex, Tensor other = {});
// dx[rows[i]] += dy[i], in the order of i.    dx (T, C) f32  dy (n, C) f32
void scatter_add_rows(Tensor dx, Tensor dy, std::span<const int32_t> rows, const Exec& ex);

}  // namespace cohort
