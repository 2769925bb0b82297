// Sampling on the GPU: meaning as in ops/sample.h, and the same noise: from equal logits the CPU draws the same tokens
// (with filters but for tokens on the very edge of one, where the last bit of an exponential decides).
//
// Keys, tokens, log-probs and what went wrong stay on the device: nothing here waits for it.
#pragma once

#include <cstdint>
#include <span>

#include "model/cuda/matmul.h"
#include "model/cuda/stream.h"
#include "model/ops/sample.h"
#include "model/tensor.h"

namespace cohort::cuda {

constexpr int kMaxBanned = 64;  // they travel as a kernel's argument

// What was drawn for each row, (B) each. A draw that was not possible has token -1.
struct DrawnTokens {
  Tensor token;      // i32
  Tensor logprob;    // f32, as SampledToken's
  Tensor kept_mass;  // f32
  Tensor problem;    // i32: a DrawProblem
};
enum DrawProblem : int32_t {
  kDrawn = 0,
  kNonFiniteLogits = 1,  // the CPU throws NonFiniteLogits
  kNothingLeft = 2,      // every token with a probability above 0 is banned
};

constexpr int64_t kDrawnParts = 4;  // of DrawnTokens, in this order, where they lie side by side
// The draws of the first rows, which have these keys, from the numbers (4, B) on the host. Throws what ops/sample.h says of them.
void take_drawn(std::span<SampledToken> out, std::span<const int32_t> numbers, std::span<const DrawKey> keys, float temperature);

// Numbers (f32) of `scratch` for B rows.
int64_t sample_scratch(int64_t rows, int64_t vocab);
int64_t sample_head_scratch(int64_t rows, int64_t vocab);

// logits (B, V) f32    keys: B on the device    ban.tokens: at most kMaxBanned, of the host
void sample_tokens(const DrawnTokens& out, Tensor logits, const SamplingParams& params, const DrawKey* keys, const Ban& ban,
                   Tensor scratch, Stream stream);

// What sample_tokens draws from head_logits(h, w, softcap), bit for bit, where no filter is on, with a chunk of the
// vocabulary's logits at a time: log-sum-exp and draw in one pass.    h (B, C) act   w (V, C) act
void sample_head(const DrawnTokens& out, Tensor h, Tensor w, float softcap, const SamplingParams& params,
                 const DrawKey* keys, const Ban& ban, Products& products, Tensor scratch, Stream stream);

}  // namespace cohort::cuda
