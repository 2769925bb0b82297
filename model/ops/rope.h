// Rotary position embedding (Su et al. 2021) in the half-split layout of Hugging Face's Llama:
// for i < D/2: (a, b) = (x[i], x[i + D/2]) -> (a cos - b sin, b cos + a sin), angle = position * inverse_frequency[i].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/exec.h"
#include "model/tensor.h"

namespace cohort {

// inverse_frequency[i] = theta^(-2i / D), i < D/2, computed as transformers does (f32 powers).
std::vector<float> rope_inverse_frequencies(int64_t head_size, float theta);

// Rotates the q and k parts of each row and splits the row into act dtype pieces; v is only cast.
// qkv (T, (H + 2K) D) f32   q (T, H D) act   k, v (T, K D) act   positions: T   (sin and cos are f32 of the f32 angle)
void rope_split(Tensor q, Tensor k, Tensor v, Tensor qkv, std::span<const int32_t> positions,
                std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads, const Exec& ex);
// The transpose: dqkv (T, (H + 2K) D) act, overwritten, from dq (T, H D), dk, dv (T, K D), all f32.
void rope_split_backward(Tensor dqkv, Tensor dq, Tensor dk, Tensor dv, std::span<const int32_t> positions,
                         std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads,
                         const Exec& ex);

}  // namespace cohort
