// The sampling side of the transformer: new tokens of many sequences in one pass, keys and values in a cache.
#include "model/transformer.h"

namespace cohort {

ForwardState::ForwardState(const Policy& policy, int64_t max_tokens) : max_tokens_(max_tokens) {
  const ModelConfig& c = policy.config;
  std::vector<std::pair<Tensor*, size_t>> planned;
  const PlanPiece plan = [&](Tensor& tensor, const char* name, DType dtype, int64_t rows, int64_t cols) {
    planned.emplace_back(&tensor, arena_.plan(name, dtype, {rows, cols}));
  };
  plan(x_, "x", DType::f32, max_tokens, c.hidden_size);
  plan(block_.qkv, "qkv", DType::f32, max_tokens, (c.num_heads + 2 * c.num_kv_heads) * c.head_size);
  plan_block(block_, c, policy.dtype, max_tokens, BlockUse::sampling, plan);
  // For inference a few rows are often all there are.
  arena_.commit(policy.use == PolicyUse::inference ? Arena::Pages::lazy : Arena::Pages::all_now);
  for (auto& [tensor, index] : planned) *tensor = arena_[index];
}

Tensor forward_cached(const Policy& policy, KvCache& cache, ForwardState& state, std::span<const ForwardRun> runs,
                      const Exec& ex) {
  const ModelConfig& c = policy.config;
  CHECK(cache.version == policy.version, "the kv cache holds keys of policy version {}, the policy is at {}",
        cache.version, policy.version);

  state.tokens_.clear();
  state.positions_.clear();
  state.runs_.resize(runs.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    const ForwardRun& run = runs[i];
    const int64_t count = static_cast<int64_t>(run.tokens.size());
    CHECK(run.pages != nullptr, "a run without pages");
    state.runs_[i] = {static_cast<int64_t>(state.tokens_.size()), count, run.first_position, *run.pages};
    state.tokens_.insert(state.tokens_.end(), run.tokens.begin(), run.tokens.end());
    for (int64_t p = 0; p < count; ++p) state.positions_.push_back(static_cast<int32_t>(run.first_position + p));
  }
  const int64_t T = static_cast<int64_t>(state.tokens_.size());
  CHECK(T > 0 && T <= state.max_tokens(), "{} tokens in a forward pass of at most {}", T, state.max_tokens());

  const Tensor x = state.x_.slice_rows(0, T);
  const BlockTensors block = first_rows(state.block_, T);
  embed_tokens(policy, x, state.tokens_, ex);
  for (int64_t layer = 0; layer < c.num_layers; ++layer) {
    block_attention_in(policy, layer, x, state.positions_, block, ex);
    store_cached(cache.layer(layer), block.k, block.v, state.runs_, head_layout(c, layer), ex);
    attention_cached(block.attention, block.q, cache.layer(layer), state.runs_, head_layout(c, layer), ex);
    block_attention_out(policy, layer, x, block, ex);
    block_mlp(policy, layer, x, block, ex);
  }
  final_norm(policy, block.h_in, {}, x, ex);
  return block.h_in;
}

}  // namespace cohort
