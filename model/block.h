// One transformer layer in the pieces that sampling and training share: attention's way in, attention's way out, the MLP,
// and their backward passes. The attention itself is the caller's, since sampling reads a cache and training a pack.
//
//   x += out_norm(W_o attention(rope(qk_norm(W_qkv norm(x) + b))) + b_o)
//   x += mlp_out_norm(W_down glu(W_gate_up mlp_norm(x)))               (parts that a family lacks are left out)
//
// The residual stream x is f32, what matrix products read is act (f32 or bf16).
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "model/ops/attention.h"
#include "model/ops/taken_rows.h"
#include "model/policy.h"

namespace cohort {

// A layer's activations, views of the same number of rows T. Sampling uses one set for all layers and leaves out what only
// the backward pass reads (marked B), a tape (activation_tape.h) what is soon computed again from the rest (marked A);
// absent parts of a family are null.
struct BlockTensors {
  Tensor h_in, rstd_in;        // (T, C) act A; (T) A B
  Tensor qkv;                  // (T, (H + 2K) D) f32, scratch
  Tensor qk_raw, rstd_qk;      // (T, (H + K) D) f32 B; (T, H + K) B: with qk_norm
  Tensor q, k, v;              // (T, H D), (T, K D), (T, K D) act
  Tensor attention;            // (T, H D) act
  Tensor out, rstd_out;        // (T, C) f32; (T) B: with sandwich norms
  Tensor h_mid, rstd_mid;      // (T, C) act A; (T) A B
  Tensor gate_up, mlp;         // (T, 2F), (T, F) act; mlp scratch
  Tensor mlp_out, rstd_mlp_out;  // (T, C) f32; (T) B: with sandwich norms
};
enum class BlockUse : uint8_t { sampling, training, tape };
// Calls plan(tensor, name, dtype, rows, cols) for each piece that the model's family has but qkv, and mlp in training, which the
// caller plans: one serves all layers.
using PlanPiece = std::function<void(Tensor&, const char* name, DType, int64_t rows, int64_t cols)>;
void plan_block(BlockTensors& block, const ModelConfig& config, DType act, int64_t rows, BlockUse use,
                const PlanPiece& plan);
void for_each_piece(const BlockTensors& block, const std::function<void(Tensor)>& visit);
// The same set, its first `rows` rows.
BlockTensors first_rows(const BlockTensors& block, int64_t rows);
// Rows [first, first + rows) of the pieces that `tape` has, the first rows of the others.
BlockTensors rows_on_tape(const BlockTensors& block, const BlockTensors& tape, int64_t first, int64_t rows);
// Each piece that `tape` has but gate_up: to[i] = tape[rows[i]], or other[-1 - rows[i]] where rows[i] < 0.
void gather_block(const BlockTensors& to, const BlockTensors& tape, std::span<const int32_t> rows,
                  const BlockTensors& other, const Exec& ex);

// What the attention of a layer looks like.
HeadLayout head_layout(const ModelConfig& config, int64_t layer);

// The residual stream's start.   x (T, C) f32    With `drawn`, on a GPU: of tokens that the host may not know (gpu_draws.h).
void embed_tokens(const Policy& policy, Tensor x, std::span<const int32_t> tokens, const Exec& ex, Tensor drawn = {});

// q, k, v of x (T, C) f32, rotated to `positions`.
void block_attention_in(const Policy& policy, int64_t layer, Tensor x, std::span<const int32_t> positions,
                        const BlockTensors& block, const Exec& ex);
// x += what block.attention gives.
void block_attention_out(const Policy& policy, int64_t layer, Tensor x, const BlockTensors& block, const Exec& ex);
// x += the MLP of x. The first half of it, up to block.mlp, leaves x alone.
void block_mlp(const Policy& policy, int64_t layer, Tensor x, const BlockTensors& block, const Exec& ex);
void block_mlp_in(const Policy& policy, int64_t layer, Tensor x, const BlockTensors& block, const Exec& ex);
// What a tape leaves out (marked A), from what it keeps.   x_in, x_mid: the residual stream before the attention and
// before the MLP, (T, C) f32
void block_compute_again(const Policy& policy, int64_t layer, const TakenRows& x_in, const TakenRows& x_mid,
                         const BlockTensors& block, const Exec& ex);
// The norm before the head.   h (T, C) act   rstd (T) f32 or null
void final_norm(const Policy& policy, Tensor h, Tensor rstd, Tensor x, const Exec& ex);

struct LoraScratch;

// Where gradients go: a flat f32 buffer (table.size), and how they are added up over the rows of the pack. Each
// parameter's gradient is overwritten. With an adapter the buffer is of its table, and the policy's own parameters have none.
struct Gradients {
  Tensor flat;
  std::span<const RowPart> parts;
  const LoraScratch* lora = nullptr;  // with an adapter
  Tensor at(int64_t offset, int64_t n, int64_t k) const { return Policy::view(flat, offset, n, k); }
  // Of a gain; with an adapter, memory that nobody reads.
  Tensor vector(int64_t offset, int64_t n) const;
};

// Scratch of the backward pass, views of T rows, shared by all layers.
struct BlockGradients {
  Tensor dh, dout;                  // (T, C) f32; dout with sandwich norms
  Tensor dq, dk, dv;                // (T, H D), (T, K D), (T, K D) f32
  Tensor dqkv_wide;                 // (T, (H + 2K) D) f32: with qk_norm
  Tensor dact;                      // (T, C) act
  Tensor dattention, dqkv;          // (T, H D), (T, (H + 2K) D) act
  Tensor dgate_up, dmlp;            // (T, 2F), (T, F) act
};
void plan_block_gradients(BlockGradients& scratch, const ModelConfig& config, DType act, int64_t rows,
                          const PlanPiece& plan);
BlockGradients first_rows(const BlockGradients& scratch, int64_t rows);

// dx (T, C) f32 holds dL/dx after the piece and leaves with dL/dx before it.   x: the residual stream before the piece.
// block.gate_up is read as `gate_up`, block.mlp is not read.
void block_mlp_backward(const Policy& policy, int64_t layer, Tensor dx, const TakenRows& x, const TakenRows& gate_up,
                        const BlockTensors& block, const Gradients& gradients, const BlockGradients& scratch, const Exec& ex);
// Leaves dL/dattention in scratch.dattention; dx is unchanged.
void block_attention_out_backward(const Policy& policy, int64_t layer, Tensor dx, const BlockTensors& block,
                                  const Gradients& gradients, const BlockGradients& scratch, const Exec& ex);
// From dh (T, C) f32 to dx, which is added to.
void final_norm_backward(const Policy& policy, Tensor dx, Tensor dh, Tensor x, Tensor rstd, const Gradients& gradients,
                         const Exec& ex);
// From scratch.dq, dk, dv.
void block_attention_in_backward(const Policy& policy, int64_t layer, Tensor dx, const TakenRows& x,
                                 std::span<const int32_t> positions, const BlockTensors& block,
                                 const Gradients& gradients, const BlockGradients& scratch, const Exec& ex);

}  // namespace cohort
