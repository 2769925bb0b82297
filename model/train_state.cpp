// The memory of a training pass: planned as a whole, then carved.
#include "model/train_state.h"

#include <algorithm>

#include "model/device.h"

namespace cohort {

TrainState::~TrainState() = default;
const TrainLimits& TrainState::limits() const { return impl->limits; }
size_t TrainState::bytes() const { return impl->arena.bytes() + (impl->kept_sums ? impl->kept_sums->bytes() : 0); }

TrainState::TrainState(const Policy& policy, const TrainLimits& limits, bool checkpointing)
    : impl(std::make_unique<Impl>()) {
  CHECK(limits.forward_tokens <= limits.tokens && (limits.tape || limits.forward_tokens == limits.tokens),
        "a state of {} rows, {} of them run forward{}", limits.tokens, limits.forward_tokens, limits.tape ? ", with a tape" : "");
  const ModelConfig& c = policy.config;
  const DType act = policy.dtype, f32 = DType::f32;
  const int64_t T = limits.tokens, C = c.hidden_size;
  impl->limits = limits;
  impl->checkpointing = checkpointing;
  // An adapter's gradient is too small to hold anything else.
  if (checkpointing && limits.forward_tokens > 0 && !policy.lora) impl->lent = InputsInGradient(policy.table, limits.forward_tokens, C);
  if (limits.forward_tokens > 0) impl->layers.resize(static_cast<size_t>(c.num_layers));
  const bool one_set = limits.tape || checkpointing;
  if (one_set) impl->shared.resize(static_cast<size_t>(c.num_layers));

  // Plan everything, then carve: each entry is where the tensor goes and its index in the arena.
  std::vector<std::pair<Tensor*, size_t>> planned;
  const PlanPiece plan = [&](Tensor& tensor, const char* name, DType dtype, int64_t rows, int64_t cols) {
    planned.emplace_back(&tensor, impl->arena.plan(name, dtype, {rows, cols}));
  };
  const auto plan_layer = [&](LayerActivations& a, int64_t rows, bool input_only = false) {
    plan(a.x_in, "x_in", f32, rows, C);
    if (input_only) return;
    plan(a.x_mid, "x_mid", f32, rows, C), plan(a.lse, "lse", f32, rows, c.num_heads);
    plan_block(a.block, c, act, rows, BlockUse::training, plan);
  };
  for (LayerActivations& a : impl->layers) {
    const bool first = &a == &impl->layers.front();
    const bool in_shared = checkpointing && first && !limits.tape, in_gradient = !first && impl->lent.each > 0;
    if (!in_shared && !in_gradient) plan_layer(a, limits.forward_tokens, checkpointing);
  }
  if (one_set) plan_layer(impl->shared.front(), T);
  plan(impl->x_out, "x_out", f32, T, C), plan(impl->rstd_out, "rstd", f32, T, 1), plan(impl->h_out, "h_out", act, T, C);
  plan(impl->selected, "selected", act, limits.targets, C);
  plan(impl->qkv, "qkv", f32, T, (c.num_heads + 2 * c.num_kv_heads) * c.head_size);
  plan(impl->mlp, "mlp", act, T, c.intermediate_size);
  plan(impl->dx, "dx", f32, T, C), plan(impl->dselected, "dselected", f32, limits.targets, C);
  plan_block_gradients(impl->scratch, c, act, T, plan);
  if (policy.lora) plan_lora_scratch(impl->lora, policy, T, plan);
  impl->arena.commit(Arena::Pages::all_now, policy.device);
  for (auto& [tensor, index] : planned) *tensor = impl->arena[index];
  for (LayerActivations& a : impl->layers) a.block.qkv = impl->qkv, a.block.mlp = impl->mlp;
  if (!one_set) return;
  LayerActivations& one = impl->shared.front();
  one.block.qkv = impl->qkv, one.block.mlp = impl->mlp;
  std::fill(impl->shared.begin() + 1, impl->shared.end(), one);
  if (!checkpointing) return;
  for (LayerActivations& a : impl->layers) {
    const Tensor x_in = a.x_in ? a.x_in : one.x_in;  // in a gradient: pass_layers says where
    a = one;
    a.x_in = x_in.slice_rows(0, limits.forward_tokens);
  }
}

}  // namespace cohort
