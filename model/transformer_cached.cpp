// The sampling side of the transformer: new tokens of many sequences in one pass, keys and values in a cache.
#include <algorithm>

#include "model/ops/elementwise.h"
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
  arena_.commit(policy.use == PolicyUse::inference ? Arena::Pages::lazy : Arena::Pages::all_now, policy.device);
  for (auto& [tensor, index] : planned) *tensor = arena_[index];
}

Tensor forward_cached(const Policy& policy, KvCache& cache, ForwardState& state, std::span<const ForwardRun> runs,
                      const Exec& ex, const TapeSlots& to, Tensor drawn) {
  begin_pass(policy, cache, state, runs, 0, to, drawn);
  return run_pass(policy, cache, state, ex, to, drawn);
}

void begin_pass(const Policy& policy, const KvCache& cache, ForwardState& state, std::span<const ForwardRun> runs, int64_t rows,
                const TapeSlots& to, Tensor drawn) {
  CHECK(cache.version == policy.version, "the kv cache holds keys of policy version {}, the policy is at {}",
        cache.version, policy.version);
  CHECK(to.tape == nullptr || to.tape->version() == policy.version,
        "the tape holds rows of policy version {}, the policy is at {}", to.tape->version(), policy.version);

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
  for (const int32_t token : state.tokens_) {
    if (!drawn) break;  // the ops look
    CHECK(token >= -drawn.size() && token < policy.config.vocab_size, "embedding: row {} of {}, with {} drawn", token,
          policy.config.vocab_size, drawn.size());
  }
  const size_t all = std::max(state.tokens_.size(), static_cast<size_t>(rows));
  state.tokens_.resize(all, 0), state.positions_.resize(all, 0);
  const int64_t T = static_cast<int64_t>(state.tokens_.size());
  CHECK(T > 0 && T <= state.max_tokens(), "{} tokens in a forward pass of at most {}", T, state.max_tokens());
}

void add_pass(PassInputs& inputs, const Policy& policy, const KvCache& cache, const ForwardState& state, const Exec& ex, const TapeSlots& to) {
  const ModelConfig& c = policy.config;
  inputs.add(std::span(state.tokens_));
  inputs.add(std::span(state.positions_));
  std::vector<const float*> frequencies;
  std::vector<int64_t> windows;
  for (int64_t layer = 0; layer < c.num_layers; ++layer) {
    const std::vector<float>& of_layer = policy.frequencies(layer);
    if (std::ranges::find(frequencies, of_layer.data()) == frequencies.end()) {
      frequencies.push_back(of_layer.data());
      inputs.add(std::span(of_layer));
    }
    const HeadLayout heads = head_layout(c, layer);
    if (std::ranges::find(windows, heads.window) != windows.end()) continue;
    windows.push_back(heads.window);
    gpu::add_attention(inputs, state.runs_, std::ssize(state.tokens_), cache.page_tokens(), heads, *ex.gpu);
  }
  if (to.tape == nullptr) return;
  // A tape is not this pass's own: where its rows lie is looked at.
  const auto add = [&](Tensor rows) { inputs.key.push_back(static_cast<int64_t>(reinterpret_cast<uintptr_t>(rows.data))); };
  inputs.key.push_back(to.first);
  add(to.tape->x_out());
  for (int64_t layer = 0; layer < c.num_layers; ++layer) add(to.tape->layer(layer).x_in), add(to.tape->layer(layer).lse);
}

Tensor run_pass(const Policy& policy, const KvCache& cache, ForwardState& state, const Exec& ex, const TapeSlots& to, Tensor drawn) {
  const ModelConfig& c = policy.config;
  const int64_t T = static_cast<int64_t>(state.tokens_.size());

  const LayerActivations nothing;
  const auto kept = [&](int64_t layer) -> const LayerActivations& { return to.tape ? to.tape->layer(layer) : nothing; };
  // Rows of the tape, or nothing.
  const auto rows = [&](Tensor all) { return all ? all.slice_rows(to.first, T) : Tensor(); };
  Tensor x = to.tape ? rows(kept(0).x_in) : state.x_.slice_rows(0, T);
  const auto go_on_in = [&](Tensor copy) {  // what was there stays on the tape
    if (!copy) return;
    cast(copy, x, ex);
    x = copy;
  };
  embed_tokens(policy, x, state.tokens_, ex, drawn);
  for (int64_t layer = 0; layer < c.num_layers; ++layer) {
    const BlockTensors block = rows_on_tape(state.block_, kept(layer).block, to.first, T);
    block_attention_in(policy, layer, x, state.positions_, block, ex);
    store_cached(cache.layer(layer), block.k, block.v, state.runs_, head_layout(c, layer), ex);
    attention_cached(block.attention, block.q, cache.layer(layer), state.runs_, head_layout(c, layer), ex,
                     rows(kept(layer).lse));
    const Tensor x_mid = rows(kept(layer).x_mid);
    go_on_in(x_mid || !to.tape ? x_mid : state.x_.slice_rows(0, T));
    block_attention_out(policy, layer, x, block, ex);
    if (to.tape) go_on_in(rows(layer + 1 < c.num_layers ? kept(layer + 1).x_in : to.tape->x_out()));
    block_mlp(policy, layer, x, block, ex);
  }
  const Tensor h = state.block_.h_in.slice_rows(0, T);
  final_norm(policy, h, {}, x, ex);
  return h;
}

}  // namespace cohort
