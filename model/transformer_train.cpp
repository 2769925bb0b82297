// The training side of the transformer: forward and backward over one pack of sequences with shared prompts.
// The forward pass is, row for row, the one of transformer_cached.cpp: same ops, same order, same bits.
#include <cstring>

#include "model/ops/elementwise.h"
#include "model/ops/head.h"
#include "model/ops/rope.h"
#include "model/transformer.h"

namespace cohort {

// What the backward pass needs of one layer. Shapes as in transformer_cached.cpp, T = max_tokens.
struct LayerActivations {
  Tensor x_in, rstd_in, h_in, q, k, v, lse, attention, x_mid, rstd_mid, h_mid, gate_up, mlp;
};

struct TrainState::Impl {
  Arena arena{"training activations"};
  int64_t max_tokens, max_targets;
  std::vector<LayerActivations> layers;
  Tensor x_out, rstd_out, h_out, selected;                     // after the last layer; selected (n, C) act
  Tensor qkv;                                                  // forward scratch (T, (H + 2K) D) f32
  Tensor dx, dh, dq, dk, dv;                                   // backward, f32
  Tensor dact, dattention, dqkv, dgate_up, dmlp, dselected;    // backward, act; dselected (n, C) f32
};

TrainState::~TrainState() = default;
int64_t TrainState::max_tokens() const { return impl->max_tokens; }
int64_t TrainState::max_targets() const { return impl->max_targets; }
size_t TrainState::bytes() const { return impl->arena.bytes(); }

TrainState::TrainState(const Policy& policy, int64_t max_tokens, int64_t max_targets)
    : impl(std::make_unique<Impl>()) {
  const ModelConfig& c = policy.config;
  const DType act = policy.dtype, f32 = DType::f32;
  const int64_t T = max_tokens, C = c.hidden_size, F = c.intermediate_size, width = c.num_heads * c.head_size,
                kv_width = c.num_kv_heads * c.head_size;
  impl->max_tokens = max_tokens;
  impl->max_targets = max_targets;
  impl->layers.resize(c.num_layers);

  // Plan everything, then carve: each entry is where the tensor goes and its index in the arena.
  std::vector<std::pair<Tensor*, size_t>> planned;
  const auto plan = [&](Tensor& tensor, const char* name, DType dtype, int64_t rows, int64_t cols) {
    planned.emplace_back(&tensor, impl->arena.plan(name, dtype, {rows, cols}));
  };
  for (LayerActivations& a : impl->layers) {
    plan(a.x_in, "x_in", f32, T, C), plan(a.rstd_in, "rstd", f32, 1, T), plan(a.h_in, "h_in", act, T, C);
    plan(a.q, "q", act, T, width), plan(a.k, "k", act, T, kv_width), plan(a.v, "v", act, T, kv_width);
    plan(a.lse, "lse", f32, T, c.num_heads), plan(a.attention, "attention", act, T, width);
    plan(a.x_mid, "x_mid", f32, T, C), plan(a.rstd_mid, "rstd", f32, 1, T), plan(a.h_mid, "h_mid", act, T, C);
    plan(a.gate_up, "gate_up", act, T, 2 * F), plan(a.mlp, "mlp", act, T, F);
  }
  plan(impl->x_out, "x_out", f32, T, C), plan(impl->rstd_out, "rstd", f32, 1, T), plan(impl->h_out, "h_out", act, T, C);
  plan(impl->selected, "selected", act, max_targets, C), plan(impl->qkv, "qkv", f32, T, width + 2 * kv_width);
  plan(impl->dx, "dx", f32, T, C), plan(impl->dh, "dh", f32, T, C), plan(impl->dq, "dq", f32, T, width);
  plan(impl->dk, "dk", f32, T, kv_width), plan(impl->dv, "dv", f32, T, kv_width);
  plan(impl->dact, "dact", act, T, C), plan(impl->dattention, "dattention", act, T, width);
  plan(impl->dqkv, "dqkv", act, T, width + 2 * kv_width), plan(impl->dgate_up, "dgate_up", act, T, 2 * F);
  plan(impl->dmlp, "dmlp", act, T, F), plan(impl->dselected, "dselected", f32, max_targets, C);
  impl->arena.commit();
  for (auto& [tensor, index] : planned) *tensor = impl->arena[index];
}

namespace {

// The first `count` values of a (1, T) piece, as a vector of `count` rows' scalars.
Tensor scalars(Tensor t, int64_t count) { return {t.data, t.dtype, {count}, t.device}; }

void check_pack(const Policy& policy, const TrainState& state, const TokenPack& pack) {
  const int64_t T = static_cast<int64_t>(pack.tokens.size());
  CHECK(T > 0 && T <= state.max_tokens() && pack.positions.size() == pack.tokens.size(),
        "a pack of {} tokens ({} positions) for a state of {}", T, pack.positions.size(), state.max_tokens());
  CHECK(pack.rows.size() == pack.targets.size() && static_cast<int64_t>(pack.rows.size()) <= state.max_targets(),
        "a pack of {} rows and {} targets for a state of {}", pack.rows.size(), pack.targets.size(),
        state.max_targets());
  for (int32_t row : pack.rows) CHECK(row >= 0 && row < T, "target row {} of {}", row, T);
  for (int32_t token : pack.targets)
    CHECK(token >= 0 && token < policy.config.vocab_size, "target {} of a vocabulary of {}", token,
          policy.config.vocab_size);
}

void backward(const Policy& policy, TrainState::Impl& s, const TokenPack& pack, Tensor gradients, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const HeadLayout heads{c.num_heads, c.num_kv_heads, c.head_size};
  const int64_t T = static_cast<int64_t>(pack.tokens.size()), C = c.hidden_size, F = c.intermediate_size;
  const int64_t width = c.num_heads * c.head_size, qkv_width = width + 2 * c.num_kv_heads * c.head_size;
  const auto rows = [T](Tensor t) { return t.slice_rows(0, T); };
  const auto gradient = [&](int64_t offset, int64_t n, int64_t k) { return Policy::view(gradients, offset, n, k); };
  const Tensor dx = rows(s.dx), dh = rows(s.dh), dact = rows(s.dact), dq = rows(s.dq), dk = rows(s.dk),
               dv = rows(s.dv), dattention = rows(s.dattention), dqkv = rows(s.dqkv), dgate_up = rows(s.dgate_up),
               dmlp = rows(s.dmlp);

  // Head rows -> hidden rows -> final norm. A prompt's last row is the source of each sample's first token.
  std::memset(dh.data, 0, dh.bytes());
  scatter_add_rows(dh, s.dselected.slice_rows(0, static_cast<int64_t>(pack.rows.size())), pack.rows, ex);
  std::memset(dx.data, 0, dx.bytes());
  rmsnorm_backward(dx, gradient(policy.table.final_norm, 1, C), dh, rows(s.x_out),
                   policy.weight(policy.table.final_norm, 1, C), scalars(s.rstd_out, T), ex);

  for (int64_t layer = c.num_layers - 1; layer >= 0; --layer) {
    const LayerParams& at = policy.table.layers[layer];
    const LayerActivations& a = s.layers[layer];
    // x_out = x_mid + down(swiglu(gate_up(norm(x_mid))))
    cast(dact, dx, ex);
    matmul_backward_weight(gradient(at.down, C, F), dact, rows(a.mlp), ex);
    matmul_backward_input(dmlp, dact, policy.weight(at.down, C, F), ex);
    swiglu_backward(dgate_up, dmlp, rows(a.gate_up), ex);
    matmul_backward_weight(gradient(at.gate_up, 2 * F, C), dgate_up, rows(a.h_mid), ex);
    matmul_backward_input(dh, dgate_up, policy.weight(at.gate_up, 2 * F, C), ex);
    rmsnorm_backward(dx, gradient(at.mlp_norm, 1, C), dh, rows(a.x_mid), policy.weight(at.mlp_norm, 1, C),
                     scalars(a.rstd_mid, T), ex);
    // x_mid = x_in + out(attention(qkv(norm(x_in))))
    cast(dact, dx, ex);
    matmul_backward_weight(gradient(at.out, C, width), dact, rows(a.attention), ex);
    matmul_backward_input(dattention, dact, policy.weight(at.out, C, width), ex);
    attention_pack_backward(dq, dk, dv, dattention, rows(a.attention), rows(a.lse), rows(a.q), rows(a.k), rows(a.v),
                            pack.runs, heads, ex);
    rope_split_backward(dqkv, dq, dk, dv, pack.positions, policy.inverse_frequency, c.num_heads, c.num_kv_heads, ex);
    matmul_backward_weight(gradient(at.qkv, qkv_width, C), dqkv, rows(a.h_in), ex);
    matmul_backward_input(dh, dqkv, policy.weight(at.qkv, qkv_width, C), ex);
    rmsnorm_backward(dx, gradient(at.attention_norm, 1, C), dh, rows(a.x_in), policy.weight(at.attention_norm, 1, C),
                     scalars(a.rstd_in, T), ex);
  }
  embedding_backward(gradient(policy.table.embedding, c.vocab_size, C), dx, pack.tokens, ex);
}

}  // namespace

Tensor forward_pack(const Policy& policy, TrainState& state, const TokenPack& pack, const Exec& ex) {
  check_pack(policy, state, pack);
  TrainState::Impl& s = *state.impl;
  const ModelConfig& c = policy.config;
  const HeadLayout heads{c.num_heads, c.num_kv_heads, c.head_size};
  const int64_t T = static_cast<int64_t>(pack.tokens.size()), C = c.hidden_size;
  const auto rows = [T](Tensor t) { return t.slice_rows(0, T); };
  const Tensor qkv = rows(s.qkv);

  embedding(rows(c.num_layers > 0 ? s.layers[0].x_in : s.x_out), pack.tokens,
            policy.weight(policy.table.embedding, c.vocab_size, C), ex);
  for (int64_t layer = 0; layer < c.num_layers; ++layer) {
    const LayerParams& at = policy.table.layers[layer];
    const Policy::PackedLayer& packed = policy.packed_layers[layer];
    LayerActivations& a = s.layers[layer];
    const Tensor x_in = rows(a.x_in), h_in = rows(a.h_in), x_mid = rows(a.x_mid), h_mid = rows(a.h_mid),
                 x_next = rows(layer + 1 < c.num_layers ? s.layers[layer + 1].x_in : s.x_out);
    rmsnorm(h_in, scalars(a.rstd_in, T), x_in, policy.weight(at.attention_norm, 1, C), c.rms_norm_eps, ex);
    matmul(qkv, h_in, packed.qkv, ex);
    rope_split(rows(a.q), rows(a.k), rows(a.v), qkv, pack.positions, policy.inverse_frequency, c.num_heads,
               c.num_kv_heads, ex);
    attention_pack(rows(a.attention), rows(a.lse), rows(a.q), rows(a.k), rows(a.v), pack.runs, heads, ex);
    std::memcpy(x_mid.data, x_in.data, x_in.bytes());
    matmul(x_mid, rows(a.attention), packed.out, ex, /*accumulate=*/true);
    rmsnorm(h_mid, scalars(a.rstd_mid, T), x_mid, policy.weight(at.mlp_norm, 1, C), c.rms_norm_eps, ex);
    matmul(rows(a.gate_up), h_mid, packed.gate_up, ex);
    swiglu(rows(a.mlp), rows(a.gate_up), ex);
    std::memcpy(x_next.data, x_mid.data, x_mid.bytes());
    matmul(x_next, rows(a.mlp), packed.down, ex, /*accumulate=*/true);
  }
  rmsnorm(rows(s.h_out), scalars(s.rstd_out, T), rows(s.x_out), policy.weight(policy.table.final_norm, 1, C),
          c.rms_norm_eps, ex);
  const Tensor selected = s.selected.slice_rows(0, static_cast<int64_t>(pack.rows.size()));
  gather_rows(selected, rows(s.h_out), pack.rows, ex);
  return selected;
}

void pack_logprobs(const Policy& policy, TrainState& state, const TokenPack& pack, float temperature,
                   std::span<float> logprob, std::span<float> entropy, const Exec& ex) {
  const Tensor selected = forward_pack(policy, state, pack, ex);
  head_logprobs(logprob, entropy, selected, policy.packed_head, pack.targets, temperature, ex);
}

void pack_loss(const Policy& policy, TrainState& state, const TokenPack& pack, float temperature,
               const std::function<float(int64_t, float, float)>& gradient, Tensor gradients, const Exec& ex) {
  const Tensor selected = forward_pack(policy, state, pack, ex);
  const ModelConfig& c = policy.config;
  head_loss(state.impl->dselected.slice_rows(0, static_cast<int64_t>(pack.rows.size())),
            Policy::view(gradients, policy.table.head, c.vocab_size, c.hidden_size), selected, policy.packed_head,
            policy.weight(policy.table.head, c.vocab_size, c.hidden_size), pack.targets, temperature, gradient, ex);
  backward(policy, *state.impl, pack, gradients, ex);
}

}  // namespace cohort
