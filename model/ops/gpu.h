// The ops of this folder on a GPU: what an op calls first of all when its Exec has one. Meaning, shapes and errors are those
// of the op of the same name; tensors lie on the GPU, spans are the host's. Implemented by model/cuda, or by no_cuda.cpp.
//
// An op returns when its work is on the GPU's stream; those that give numbers to the host wait for them.
#pragma once

#include <cstdint>
#include <span>

#include "model/exec.h"
#include "model/ops/attention.h"
#include "model/ops/head.h"
#include "model/ops/norm.h"
#include "model/ops/sample.h"
#include "model/ops/update.h"

namespace cohort::gpu {

// ops/elementwise.h
void embedding(Tensor x, std::span<const int32_t> tokens, Tensor table, float scale, Gpu& gpu);
void embedding_backward(Tensor dtable, const KeptRows& kept, Tensor dx, std::span<const int32_t> tokens, float scale,
                        std::span<const RowPart> parts, Gpu& gpu);
void add_bias(Tensor y, Tensor bias, Gpu& gpu);
void bias_backward(Tensor dbias, Tensor dy, std::span<const RowPart> parts, Gpu& gpu);
void cast(Tensor y, Tensor x, Gpu& gpu);
void gather_rows(Tensor y, Tensor x, std::span<const int32_t> rows, Tensor other, Gpu& gpu);
void scatter_add_rows(Tensor dx, Tensor dy, std::span<const int32_t> rows, Gpu& gpu);

// ops/gated.h
void swiglu(Tensor y, Tensor gate_up, Gpu& gpu);
void swiglu_backward(Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Gpu& gpu);
void geglu(Tensor y, Tensor gate_up, Gpu& gpu);
void geglu_backward(Tensor dgate_up, Tensor y, Tensor dy, Tensor gate_up, Gpu& gpu);

// ops/norm.h
void rmsnorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, Gpu& gpu);
void rmsnorm_add(Tensor sum, Tensor rstd, Tensor x, Tensor gain, const NormParams& params, Gpu& gpu);
void rmsnorm_backward(Tensor dx, Tensor dgain, Tensor dy, Tensor x, Tensor gain, Tensor rstd, float offset,
                      std::span<const RowPart> parts, Gpu& gpu);
void qk_norm(Tensor qkv, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain, const QkHeads& heads,
             const NormParams& params, Gpu& gpu);
void qk_norm_backward(Tensor dqkv, Tensor dq_gain, Tensor dk_gain, Tensor raw, Tensor rstd, Tensor q_gain, Tensor k_gain,
                      const QkHeads& heads, float offset, std::span<const RowPart> parts, Gpu& gpu);

// ops/rope.h
void rope_split(Tensor q, Tensor k, Tensor v, Tensor qkv, std::span<const int32_t> positions,
                std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads, Gpu& gpu);
void rope_split_backward(Tensor dqkv, Tensor dq, Tensor dk, Tensor dv, std::span<const int32_t> positions,
                         std::span<const float> inverse_frequency, int64_t num_heads, int64_t num_kv_heads, Gpu& gpu);

// ops/matmul.h; a packed weight is PackedWeight::flat
void matmul(Tensor y, Tensor x, const PackedWeight& w, bool accumulate, Gpu& gpu);
void matmul_backward_input(Tensor dx, Tensor dy, const PackedWeight& w, bool accumulate, Gpu& gpu);
void matmul_backward_weight(Tensor dw, Tensor dy, Tensor x, std::span<const RowPart> parts, Gpu& gpu);
// Exit code 1 unless rows of the products with w, to these dtypes, have the same bits whatever other rows go with them: what
// strict numerics asks of the library. Once at the start, for weights that have numbers.
void check_rows_alike(const PackedWeight& w, DType forward_out, DType input_out, Gpu& gpu);
// The same of the head, whose products take some columns of the vocabulary at a time.
void check_head_rows_alike(const PackedWeight& w, Gpu& gpu);

// ops/head.h
void head_logits(Tensor logits, Tensor h, const PackedWeight& w, float softcap, Gpu& gpu);
void head_logprobs(std::span<float> logprob, std::span<float> entropy, Tensor h, const PackedWeight& w,
                   std::span<const int32_t> targets, float temperature, float softcap, Gpu& gpu);
void head_loss(Tensor dh, Tensor dw, Tensor h, const PackedWeight& w, std::span<const int32_t> targets, float temperature,
               const TokenGradient& gradient, float softcap, std::span<const RowPart> parts, const KeptRows& kept, Gpu& gpu);

// ops/sample.h
constexpr int kMaxBanned = 64;  // tokens that a Ban may hold
void sample_tokens(std::span<SampledToken> out, Tensor logits, const SamplingParams& params, std::span<const DrawKey> keys,
                   const Ban& ban, Gpu& gpu);
void sample_head(std::span<SampledToken> out, Tensor h, const PackedWeight& w, float softcap, const SamplingParams& params,
                 std::span<const DrawKey> keys, const Ban& ban, Gpu& gpu);

// ops/attention.h
void store_cached(const KeyPages& cache, Tensor k, Tensor v, std::span<const CachedRun> runs, const HeadLayout& heads, Gpu& gpu);
void attention_cached(Tensor out, Tensor q, const KeyPages& cache, std::span<const CachedRun> runs, const HeadLayout& heads,
                      Tensor lse, Gpu& gpu);
void attention_pack(Tensor out, Tensor lse, Tensor q, Tensor k, Tensor v, std::span<const PackRun> runs,
                    const HeadLayout& heads, Gpu& gpu);
void attention_pack_backward(Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor out, Tensor lse, Tensor q, Tensor k,
                             Tensor v, std::span<const PackRun> runs, const HeadLayout& heads, Gpu& gpu);

// ops/update.h; spans of the GPU's memory
void adamw(Tensor weight, const AdamWState& state, std::span<const float> gradient, const AdamWStep& step, Gpu& gpu);
void add_into(std::span<float> sum, std::span<const float> other, Gpu& gpu);
double sum_of_squares(std::span<const float> data, Gpu& gpu);
int64_t find_non_finite(std::span<const float> data, Gpu& gpu);

}  // namespace cohort::gpu
