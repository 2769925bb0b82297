// Draws the next token of each row, with counter-based noise: the draw depends on (seed, step, sequence, position) and
// the row's logits only.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/check.h"
#include "model/exec.h"
#include "model/ops/matmul.h"
#include "model/tensor.h"

namespace cohort {

struct SamplingParams {
  float temperature = 1.0f;  // 0: greedy (argmax, the lower id on ties); log-probs are then those of temperature 1
  int32_t top_k = 0;         // 0: off. Keep the k largest logits
  float top_p = 1.0f;        // 1: off. Keep the smallest set of largest probabilities whose sum reaches p
  float min_p = 0.0f;        // 0: off. Keep tokens with probability >= min_p * largest probability
};

// Whether a filter can take tokens out of a vocabulary; a greedy draw has none.
inline bool filters_on(const SamplingParams& params, int64_t vocab) {
  return params.temperature > 0 && ((params.top_k > 0 && params.top_k < vocab) || params.top_p < 1 || params.min_p > 0);
}

// Filters apply in the order top_k, top_p, min_p (as vLLM and transformers do), each to the renormalised rest.
// The recorded log-prob is that of the full softmax at `temperature`; `kept_mass` tells what the filters left of it.
struct SampledToken {
  int32_t token;
  float logprob;
  float kept_mass;  // 1 when no filter is on or the draw is greedy; a ban is no filter
};

// What makes a row's draw its own. `sequence` = global prompt index * num_generations + sample index.
struct DrawKey {
  uint64_t seed;
  uint32_t step, sequence, position;
};

// Token ids that may not be drawn at positions below `before` (stop tokens before a min length). They are out before the
// filters, but stay in the recorded softmax.
struct Ban {
  std::span<const int32_t> tokens = {};
  uint32_t before = UINT32_MAX;
};

// Exit code 1 for parameters that no sampler takes, and for bans outside the vocabulary.
void check_sampling(const SamplingParams& params, const Ban& ban, int64_t vocab);

// Thrown (exit code 5) for logits that are not finite; `sequence` is the row's key, by which callers know the prompt.
class NonFiniteLogits : public Error {
 public:
  NonFiniteLogits(uint32_t sequence, const std::string& message) : Error(ExitCode::kNonFinite, message), sequence_(sequence) {}
  uint32_t sequence() const { return sequence_; }

 private:
  uint32_t sequence_;
};

// logits (B, V) f32. Gumbel-max: argmax(logit / temperature + g), g = -log(-log(u)), u from Philox at (key, token id); the
// lower id wins a tie, in filters too.
// A logit of -infinity is a token of probability 0. NaN, +infinity, or nothing but -infinity in a row: NonFiniteLogits.
void sample_tokens(std::span<SampledToken> out, Tensor logits, const SamplingParams& params,
                   std::span<const DrawKey> keys, const Ban& ban, const Exec& ex);

// What sample_tokens draws from head_logits(h, w, softcap), bit for bit, where no filter is on: a chunk of the vocabulary
// at a time, so that the logits are nowhere as a whole.    h (B, C) act   w (V, C) packed
void sample_head(std::span<SampledToken> out, Tensor h, const PackedWeight& w, float softcap,
                 const SamplingParams& params, std::span<const DrawKey> keys, const Ban& ban, const Exec& ex);

}  // namespace cohort
