#include "model/block.h"

#include "model/device.h"
#include "model/gpu_draws.h"
#include "model/lora.h"
#include "model/ops/elementwise.h"
#include "model/ops/gated.h"
#include "model/ops/norm.h"
#include "model/ops/rope.h"

namespace cohort {
namespace {

NormParams norm_params(const ModelConfig& c) { return {c.rms_norm_eps, c.unit_offset_norm ? 1.0f : 0.0f}; }

QkHeads qk_heads(const ModelConfig& c) { return {c.num_heads, c.num_kv_heads, c.head_size}; }

int64_t qkv_width(const ModelConfig& c) { return (c.num_heads + 2 * c.num_kv_heads) * c.head_size; }

constexpr Tensor BlockTensors::* kBlockPieces[] = {
    &BlockTensors::h_in,  &BlockTensors::rstd_in, &BlockTensors::qkv,       &BlockTensors::qk_raw,
    &BlockTensors::rstd_qk, &BlockTensors::q,     &BlockTensors::k,         &BlockTensors::v,
    &BlockTensors::attention, &BlockTensors::out, &BlockTensors::rstd_out,  &BlockTensors::h_mid,
    &BlockTensors::rstd_mid, &BlockTensors::gate_up, &BlockTensors::mlp,    &BlockTensors::mlp_out,
    &BlockTensors::rstd_mlp_out};
constexpr Tensor BlockGradients::* kGradientPieces[] = {
    &BlockGradients::dh,   &BlockGradients::dout,       &BlockGradients::dq,   &BlockGradients::dk,
    &BlockGradients::dv,   &BlockGradients::dqkv_wide,  &BlockGradients::dact, &BlockGradients::dattention,
    &BlockGradients::dqkv, &BlockGradients::dgate_up,   &BlockGradients::dmlp};

template <typename Set, size_t N>
Set rows_of(Set set, Tensor Set::* const (&pieces)[N], int64_t rows) {
  static_assert(sizeof(Set) == N * sizeof(Tensor), "a piece is missing from the list");
  for (Tensor Set::* piece : pieces)
    if (set.*piece) set.*piece = (set.*piece).slice_rows(0, rows);
  return set;
}

}  // namespace

void plan_block(BlockTensors& b, const ModelConfig& c, DType act, int64_t rows, BlockUse use, const PlanPiece& plan) {
  const int64_t C = c.hidden_size, F = c.intermediate_size, D = c.head_size, H = c.num_heads, K = c.num_kv_heads;
  const bool backward = use != BlockUse::sampling, cheap = use != BlockUse::tape;
  if (cheap) plan(b.h_in, "h_in", act, rows, C), plan(b.h_mid, "h_mid", act, rows, C);
  if (!backward) plan(b.mlp, "mlp", act, rows, F);
  if (cheap && backward) plan(b.rstd_in, "rstd", DType::f32, rows, 1), plan(b.rstd_mid, "rstd", DType::f32, rows, 1);
  if (c.qk_norm && backward) {
    plan(b.qk_raw, "qk_raw", DType::f32, rows, (H + K) * D);
    plan(b.rstd_qk, "rstd", DType::f32, rows, H + K);
  }
  plan(b.q, "q", act, rows, H * D), plan(b.k, "k", act, rows, K * D), plan(b.v, "v", act, rows, K * D);
  plan(b.attention, "attention", act, rows, H * D);
  plan(b.gate_up, "gate_up", act, rows, 2 * F);
  if (c.sandwich_norms) {
    plan(b.out, "out", DType::f32, rows, C), plan(b.mlp_out, "mlp_out", DType::f32, rows, C);
    if (backward) plan(b.rstd_out, "rstd", DType::f32, rows, 1), plan(b.rstd_mlp_out, "rstd", DType::f32, rows, 1);
  }
}

void for_each_piece(const BlockTensors& block, const std::function<void(Tensor)>& visit) {
  for (Tensor BlockTensors::* piece : kBlockPieces) visit(block.*piece);
}

BlockTensors first_rows(const BlockTensors& block, int64_t rows) { return rows_of(block, kBlockPieces, rows); }

BlockTensors rows_on_tape(const BlockTensors& block, const BlockTensors& tape, int64_t first, int64_t rows) {
  BlockTensors set = first_rows(block, rows);
  for (Tensor BlockTensors::* piece : kBlockPieces)
    if (tape.*piece) set.*piece = (tape.*piece).slice_rows(first, rows);
  return set;
}

void gather_block(const BlockTensors& to, const BlockTensors& tape, std::span<const int32_t> rows,
                  const BlockTensors& other, const Exec& ex) {
  for (Tensor BlockTensors::* piece : kBlockPieces)
    if (tape.*piece && piece != &BlockTensors::gate_up) gather_rows(to.*piece, tape.*piece, rows, ex, other.*piece);
}

HeadLayout head_layout(const ModelConfig& c, int64_t layer) {
  return {.num_heads = c.num_heads,
          .num_kv_heads = c.num_kv_heads,
          .head_size = c.head_size,
          .scale = c.attention_scale,
          .softcap = c.attention_softcap,
          .window = c.is_local(layer) ? c.window : 0};
}

void embed_tokens(const Policy& policy, Tensor x, std::span<const int32_t> tokens, const Exec& ex, Tensor drawn) {
  const ModelConfig& c = policy.config;
  if (drawn)
    return gpu::embedding_of_drawn(x, tokens, drawn, policy.weight(policy.table.embedding, c.vocab_size, c.hidden_size), c.embedding_scale, *ex.gpu);
  if (policy.table.head == policy.table.embedding)
    return packed_rows(x, policy.packed_head, tokens, c.embedding_scale, ex);
  embedding(x, tokens, policy.weight(policy.table.embedding, c.vocab_size, c.hidden_size), ex, c.embedding_scale);
}

void block_attention_in(const Policy& policy, int64_t layer, Tensor x, std::span<const int32_t> positions,
                        const BlockTensors& b, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const LayerParams& at = policy.table.layers[layer];
  rmsnorm(b.h_in, b.rstd_in, x, policy.weight(at.attention_norm, 1, c.hidden_size), norm_params(c), ex);
  matmul(b.qkv, b.h_in, policy.packed_layers[layer].qkv, ex);
  if (at.qkv_bias != kNoParam) add_bias(b.qkv, policy.weight(at.qkv_bias, 1, qkv_width(c)), ex);
  if (at.q_norm != kNoParam) {
    qk_norm(b.qkv, b.qk_raw, b.rstd_qk, policy.weight(at.q_norm, 1, c.head_size),
            policy.weight(at.k_norm, 1, c.head_size), qk_heads(c), norm_params(c), ex);
  }
  rope_split(b.q, b.k, b.v, b.qkv, positions, policy.frequencies(layer), c.num_heads, c.num_kv_heads, ex);
}

void block_attention_out(const Policy& policy, int64_t layer, Tensor x, const BlockTensors& b, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const LayerParams& at = policy.table.layers[layer];
  const bool sandwich = at.attention_out_norm != kNoParam;
  const Tensor to = sandwich ? b.out : x;
  matmul(to, b.attention, policy.packed_layers[layer].out, ex, /*accumulate=*/!sandwich);
  if (at.out_bias != kNoParam) add_bias(to, policy.weight(at.out_bias, 1, c.hidden_size), ex);
  if (sandwich)
    rmsnorm_add(x, b.rstd_out, to, policy.weight(at.attention_out_norm, 1, c.hidden_size), norm_params(c), ex);
}

namespace {

void glu(const ModelConfig& c, Tensor mlp, Tensor gate_up, const Exec& ex) {
  c.activation == Activation::silu ? swiglu(mlp, gate_up, ex) : geglu(mlp, gate_up, ex);
}

}  // namespace

void block_mlp_in(const Policy& policy, int64_t layer, Tensor x, const BlockTensors& b, const Exec& ex) {
  const ModelConfig& c = policy.config;
  rmsnorm(b.h_mid, b.rstd_mid, x, policy.weight(policy.table.layers[layer].mlp_norm, 1, c.hidden_size), norm_params(c),
          ex);
  matmul(b.gate_up, b.h_mid, policy.packed_layers[layer].gate_up, ex);
  glu(c, b.mlp, b.gate_up, ex);
}

void block_compute_again(const Policy& policy, int64_t layer, const TakenRows& x_in, const TakenRows& x_mid,
                         const BlockTensors& b, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const LayerParams& at = policy.table.layers[layer];
  rmsnorm(b.h_in, b.rstd_in, x_in, policy.weight(at.attention_norm, 1, c.hidden_size), norm_params(c), ex);
  rmsnorm(b.h_mid, b.rstd_mid, x_mid, policy.weight(at.mlp_norm, 1, c.hidden_size), norm_params(c), ex);
}

void block_mlp(const Policy& policy, int64_t layer, Tensor x, const BlockTensors& b, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const LayerParams& at = policy.table.layers[layer];
  const bool sandwich = at.mlp_out_norm != kNoParam;
  block_mlp_in(policy, layer, x, b, ex);
  const Tensor to = sandwich ? b.mlp_out : x;
  matmul(to, b.mlp, policy.packed_layers[layer].down, ex, /*accumulate=*/!sandwich);
  if (sandwich)
    rmsnorm_add(x, b.rstd_mlp_out, to, policy.weight(at.mlp_out_norm, 1, c.hidden_size), norm_params(c), ex);
}

void final_norm(const Policy& policy, Tensor h, Tensor rstd, Tensor x, const Exec& ex) {
  const ModelConfig& c = policy.config;
  rmsnorm(h, rstd, x, policy.weight(policy.table.final_norm, 1, c.hidden_size), norm_params(c), ex);
}

Tensor Gradients::vector(int64_t offset, int64_t n) const { return lora ? Policy::view(lora->vector, 0, 1, n) : at(offset, 1, n); }

namespace {

// The gradient of a packed matrix of a layer, or of its adapter.   dy (T, N)   x (T, K)
void weight_backward(const Policy& policy, int64_t layer, size_t matrix, int64_t offset, Tensor dy, Tensor x,
                     const Gradients& gradients, const Exec& ex) {
  if (gradients.lora) return lora_backward(*policy.lora, layer, matrix, gradients.flat, dy, x, *gradients.lora, gradients.parts, ex);
  matmul_backward_weight(gradients.at(offset, dy.cols(), x.cols()), dy, x, ex, gradients.parts);
}
constexpr size_t kQkv = 0, kOut = 1, kGateUp = 2, kDown = 3;  // in kLayerMatrices

}  // namespace

void final_norm_backward(const Policy& policy, Tensor dx, Tensor dh, Tensor x, Tensor rstd, const Gradients& gradients,
                         const Exec& ex) {
  const int64_t C = policy.config.hidden_size, at = policy.table.final_norm;
  rmsnorm_backward(dx, gradients.vector(at, C), dh, x, policy.weight(at, 1, C), rstd, norm_params(policy.config).offset,
                   ex, gradients.parts);
}

void plan_block_gradients(BlockGradients& g, const ModelConfig& c, DType act, int64_t rows, const PlanPiece& plan) {
  const int64_t C = c.hidden_size, F = c.intermediate_size, q = c.num_heads * c.head_size,
                kv = c.num_kv_heads * c.head_size;
  plan(g.dh, "dh", DType::f32, rows, C);
  if (c.sandwich_norms) plan(g.dout, "dout", DType::f32, rows, C);
  plan(g.dq, "dq", DType::f32, rows, q), plan(g.dk, "dk", DType::f32, rows, kv), plan(g.dv, "dv", DType::f32, rows, kv);
  if (c.qk_norm) plan(g.dqkv_wide, "dqkv_wide", DType::f32, rows, q + 2 * kv);
  plan(g.dact, "dact", act, rows, C), plan(g.dattention, "dattention", act, rows, q);
  plan(g.dqkv, "dqkv", act, rows, q + 2 * kv);
  plan(g.dgate_up, "dgate_up", act, rows, 2 * F), plan(g.dmlp, "dmlp", act, rows, F);
}

BlockGradients first_rows(const BlockGradients& scratch, int64_t rows) { return rows_of(scratch, kGradientPieces, rows); }

namespace {

// The gradient at the output of a projection whose result was added to the residual stream, perhaps through a norm.
Tensor before_sandwich(const Policy& policy, int64_t norm, Tensor dx, Tensor out, Tensor rstd, const Gradients& gradients,
                       const BlockGradients& s, const Exec& ex) {
  if (norm == kNoParam) return dx;
  const ModelConfig& c = policy.config;
  clear(s.dout);
  rmsnorm_backward(s.dout, gradients.vector(norm, c.hidden_size), dx, out, policy.weight(norm, 1, c.hidden_size), rstd,
                   norm_params(c).offset, ex, gradients.parts);
  return s.dout;
}

}  // namespace

void block_mlp_backward(const Policy& policy, int64_t layer, Tensor dx, const TakenRows& x, const TakenRows& gate_up,
                        const BlockTensors& b, const Gradients& gradients, const BlockGradients& s, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const LayerParams& at = policy.table.layers[layer];
  const int64_t C = c.hidden_size;
  cast(s.dact, before_sandwich(policy, at.mlp_out_norm, dx, b.mlp_out, b.rstd_mlp_out, gradients, s, ex), ex);
  matmul_backward_input(s.dmlp, s.dact, policy.packed_layers[layer].down, ex);
  const Tensor mlp = s.dmlp;  // what was read as dmlp is left as mlp
  c.activation == Activation::silu ? swiglu_backward(s.dgate_up, mlp, s.dmlp, gate_up, ex)
                                   : geglu_backward(s.dgate_up, mlp, s.dmlp, gate_up, ex);
  weight_backward(policy, layer, kDown, at.down, s.dact, mlp, gradients, ex);
  weight_backward(policy, layer, kGateUp, at.gate_up, s.dgate_up, b.h_mid, gradients, ex);
  matmul_backward_input(s.dh, s.dgate_up, policy.packed_layers[layer].gate_up, ex);
  rmsnorm_backward(dx, gradients.vector(at.mlp_norm, C), s.dh, x, policy.weight(at.mlp_norm, 1, C), b.rstd_mid,
                   norm_params(c).offset, ex, gradients.parts);
}

void block_attention_out_backward(const Policy& policy, int64_t layer, Tensor dx, const BlockTensors& b,
                                  const Gradients& gradients, const BlockGradients& s, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const LayerParams& at = policy.table.layers[layer];
  const int64_t C = c.hidden_size;
  const Tensor dout = before_sandwich(policy, at.attention_out_norm, dx, b.out, b.rstd_out, gradients, s, ex);
  if (at.out_bias != kNoParam && !gradients.lora) bias_backward(gradients.at(at.out_bias, 1, C), dout, ex, gradients.parts);
  cast(s.dact, dout, ex);
  weight_backward(policy, layer, kOut, at.out, s.dact, b.attention, gradients, ex);
  matmul_backward_input(s.dattention, s.dact, policy.packed_layers[layer].out, ex);
}

void block_attention_in_backward(const Policy& policy, int64_t layer, Tensor dx, const TakenRows& x,
                                 std::span<const int32_t> positions, const BlockTensors& b, const Gradients& gradients,
                                 const BlockGradients& s, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const LayerParams& at = policy.table.layers[layer];
  const int64_t C = c.hidden_size, D = c.head_size, width = qkv_width(c);
  const Tensor unrotated = c.qk_norm ? s.dqkv_wide : s.dqkv;
  rope_split_backward(unrotated, s.dq, s.dk, s.dv, positions, policy.frequencies(layer), c.num_heads, c.num_kv_heads,
                      ex);
  if (c.qk_norm) {
    qk_norm_backward(s.dqkv_wide, gradients.vector(at.q_norm, D), gradients.vector(at.k_norm, D), b.qk_raw, b.rstd_qk,
                     policy.weight(at.q_norm, 1, D), policy.weight(at.k_norm, 1, D), qk_heads(c), norm_params(c).offset,
                     ex, gradients.parts);
    cast(s.dqkv, s.dqkv_wide, ex);
  }
  if (at.qkv_bias != kNoParam && !gradients.lora) bias_backward(gradients.at(at.qkv_bias, 1, width), unrotated, ex, gradients.parts);
  weight_backward(policy, layer, kQkv, at.qkv, s.dqkv, b.h_in, gradients, ex);
  matmul_backward_input(s.dh, s.dqkv, policy.packed_layers[layer].qkv, ex);
  rmsnorm_backward(dx, gradients.vector(at.attention_norm, C), s.dh, x, policy.weight(at.attention_norm, 1, C),
                   b.rstd_in, norm_params(c).offset, ex, gradients.parts);
}

}  // namespace cohort
