// The language-model head on the GPU: meaning as in ops/head.h, kHeadChunk columns of the vocabulary at a time, never
// T x V. Log-probs, entropies and gradients stay on the device; what lies between the two passes of ops/head.h's head_loss,
// dL/dlogprob and dL/dentropy, is the caller's to compute.
//
// A row's log-prob is that which sample_head (sample.h) gives, bit for bit.
#pragma once

#include <cstdint>
#include <span>

#include "model/cuda/matmul.h"
#include "model/cuda/stream.h"
#include "model/ops/row_parts.h"
#include "model/tensor.h"

namespace cohort::cuda {

constexpr int kHeadChunk = 4096;  // columns whose logits exist at one time; part of the numerics

// Numbers (f32) that `scratch` of head_logits and head_logprobs holds for n rows.
int64_t head_scratch(int64_t rows, int64_t vocab);

// logits = h w^T, capped, (B, V) f32.    h (B, C) act   w (V, C) act: for filters (sample.h), and few rows
void head_logits(Tensor logits, Tensor h, Tensor w, float softcap, Products& products, Tensor scratch, Stream stream);

// What the head tells of each row: f32, (n) each.
struct HeadRows {
  Tensor logprob, entropy, lse;
};
// targets (n) i32 on the device: one outside the vocabulary gives a log-prob of NaN.    h (n, C) act
void head_logprobs(const HeadRows& out, Tensor h, Tensor w, Tensor targets, float temperature, float softcap,
                   Products& products, Tensor scratch, Stream stream);

// Rows of dw whose parts' sums go to `sums` (parts * rows.size(), C) f32 for embedding_backward, which then writes dw there.
struct HeadKeptRows {
  std::span<const int32_t> rows;  // ascending
  Tensor device_rows;             // the same, i32 on the device
  Tensor sums;                    // added to by embedding_backward: overwritten here
};
int64_t head_backward_scratch(int64_t rows, int64_t vocab, int64_t hidden, std::span<const RowPart> parts = {},
                              bool keeps_rows = false);
// dL/dlogprob and dL/dentropy of each row, f32, (n) each; of_entropy may be absent: zeros.
struct HeadGradients {
  Tensor of_logprob, of_entropy;
};
// dh (n, C) f32 and dw (V, C) f32, overwritten; dw is the sum over rows in parts. Of `rows` logprob and lse are read, and
// entropy where there are gradients of it.
void head_backward(Tensor dh, Tensor dw, Tensor h, Tensor w, Tensor targets, const HeadRows& rows, const HeadGradients& gradients,
                   float temperature, float softcap, Products& products, Tensor scratch, Stream stream,
                   std::span<const RowPart> parts = {}, const HeadKeptRows& kept = {});

}  // namespace cohort::cuda
