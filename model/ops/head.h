// The language-model head: logits, log-probs, entropy and their gradient, a few rows at a time, never T x V.
//
// Sampler and trainer share the row functions here, so that the log-prob recorded at sampling equals, bit for bit, what
// the trainer computes. With `softcap` > 0 a logit l stands for softcap tanh(l / softcap), everywhere and before the
// temperature (Gemma 2, arXiv:2408.00118, section 2); 0: off.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>

#include "model/exec.h"
#include "model/ops/matmul.h"
#include "model/ops/row_parts.h"
#include "model/tensor.h"

namespace cohort {

// log-sum-exp of logits / temperature over one row of V, and the row's largest scaled logit. Fixed chunks, fixed tree.
struct RowStats {
  float max, lse;
};
RowStats logit_row_stats(const float* logits, int64_t vocab, float inverse_temperature);

// A logit over the temperature, rounded. The fma with -0 is that product; unlike a plain one it cannot be merged with a
// following subtraction, so every compilation of the formulas here rounds alike.
inline float scaled_logit(float logit, float inverse_temperature) {
  return std::fma(logit, inverse_temperature, -0.0f);
}

// log p(token) of softmax(logits / temperature); never above 0. inverse_temperature is 1.0f / temperature.
inline float token_logprob(const float* logits, const RowStats& stats, int32_t token, float inverse_temperature) {
  return scaled_logit(logits[token], inverse_temperature) - stats.lse;
}

// logits = h w^T, capped, (B, V) f32.    h (B, C) act   w (V, C) packed
void head_logits(Tensor logits, Tensor h, const PackedWeight& w, const Exec& ex, float softcap = 0);

// logprob[i] = log p(targets[i] | row i), entropy[i] in nats; entropy may be empty.    h (n, C) act
// `best`, when it is not empty: the log-prob of row i's likeliest token, so that targets[i] is that one where logprob[i] is not
// below it; on a GPU not known, NaN.
void head_logprobs(std::span<float> logprob, std::span<float> entropy, Tensor h, const PackedWeight& w,
                   std::span<const int32_t> targets, float temperature, const Exec& ex, float softcap = 0, std::span<float> best = {});

// What a loss says of a row: by its target's log-prob, and by the entropy of its distribution (dentropy / dlogit_j =
// -p_j (log p_j + entropy) / temperature). A plain number is dlogprob.
struct RowGradient {
  RowGradient(float dlogprob, float dentropy = 0) : dlogprob(dlogprob), dentropy(dentropy) {}
  float dlogprob, dentropy;
};

// Forward and backward in one pass: for each row computes log-prob and entropy, asks `gradient(i, logprob, entropy)`
// for dL/dlogprob and dL/dentropy, and adds the gradients. Rows are visited in order and `gradient` is called from one thread, in
// order. dh (n, C) f32 and dw (V, C) f32, overwritten; dw is the sum over rows in parts, or null: the weight is frozen (on the CPU
// only). `kept`: rows of dw that are left for embedding_backward, which finds their parts' sums there. `spare`: memory that is overwritten: logits are kept there
// between the passes, up to n V of them; what fits neither there nor in 32 MB of workspace is computed twice, and no bit
// depends on it. `best` as above, known of a row before its gradient is asked for.
using TokenGradient = std::function<RowGradient(int64_t row, float logprob, float entropy)>;
void head_loss(Tensor dh, Tensor dw, Tensor h, const PackedWeight& w, std::span<const int32_t> targets, float temperature,
               const TokenGradient& gradient, const Exec& ex, float softcap = 0, std::span<const RowPart> parts = {},
               const KeptRows& kept = {}, std::span<float> spare = {}, std::span<float> best = {});

}  // namespace cohort
