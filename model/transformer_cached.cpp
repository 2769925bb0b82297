// The sampling side of the transformer: new tokens of many sequences in one pass, keys and values in a cache.
#include <cstring>

#include "model/ops/elementwise.h"
#include "model/ops/rope.h"
#include "model/transformer.h"

namespace cohort {

KvCache::KvCache(const Policy& policy, int64_t slots, int64_t capacity) : slots_(slots), capacity_(capacity) {
  const ModelConfig& c = policy.config;
  CHECK(slots > 0 && capacity > 0, "kv cache of {} slots, {} positions", slots, capacity);
  const int64_t width = c.num_kv_heads * c.head_size;
  row_bytes_ = width * static_cast<int64_t>(dtype_size(policy.dtype));
  const size_t keys = arena_.plan("keys", policy.dtype, {c.num_layers, slots, capacity, width});
  const size_t values = arena_.plan("values", policy.dtype, {c.num_layers, slots, capacity, width});
  arena_.commit();
  keys_ = arena_[keys];
  values_ = arena_[values];
  version = policy.version;
}

std::byte* KvCache::keys(int64_t layer, int32_t slot) {
  return static_cast<std::byte*>(keys_.data) + (layer * slots_ + slot) * capacity_ * row_bytes_;
}

std::byte* KvCache::values(int64_t layer, int32_t slot) {
  return static_cast<std::byte*>(values_.data) + (layer * slots_ + slot) * capacity_ * row_bytes_;
}

void KvCache::copy(int32_t from, int32_t to, int64_t count) {
  CHECK(from >= 0 && from < slots_ && to >= 0 && to < slots_ && count <= capacity_, "kv cache: copy {} -> {}, {} rows",
        from, to, count);
  for (int64_t layer = 0; layer < keys_.shape[0]; ++layer) {
    std::memcpy(keys(layer, to), keys(layer, from), static_cast<size_t>(count * row_bytes_));
    std::memcpy(values(layer, to), values(layer, from), static_cast<size_t>(count * row_bytes_));
  }
}

ForwardState::ForwardState(const Policy& policy, int64_t max_tokens) : max_tokens_(max_tokens) {
  const ModelConfig& c = policy.config;
  const DType act = policy.dtype;
  const int64_t T = max_tokens, width = c.num_heads * c.head_size, kv_width = c.num_kv_heads * c.head_size;
  const size_t x = arena_.plan("x", DType::f32, {T, c.hidden_size});
  const size_t h = arena_.plan("h", act, {T, c.hidden_size});
  const size_t qkv = arena_.plan("qkv", DType::f32, {T, width + 2 * kv_width});
  const size_t q = arena_.plan("q", act, {T, width});
  const size_t k = arena_.plan("k", act, {T, kv_width});
  const size_t v = arena_.plan("v", act, {T, kv_width});
  const size_t attention = arena_.plan("attention", act, {T, width});
  const size_t gate_up = arena_.plan("gate_up", act, {T, 2 * c.intermediate_size});
  const size_t mlp = arena_.plan("mlp", act, {T, c.intermediate_size});
  arena_.commit();
  x_ = arena_[x], h_ = arena_[h], qkv_ = arena_[qkv], q_ = arena_[q], k_ = arena_[k], v_ = arena_[v];
  attention_ = arena_[attention], gate_up_ = arena_[gate_up], mlp_ = arena_[mlp];
}

Tensor forward_cached(const Policy& policy, KvCache& cache, ForwardState& state, std::span<const ForwardRun> runs,
                      const Exec& ex) {
  const ModelConfig& c = policy.config;
  const HeadLayout heads{c.num_heads, c.num_kv_heads, c.head_size};
  CHECK(cache.version == policy.version, "the kv cache holds keys of policy version {}, the policy is at {}",
        cache.version, policy.version);

  state.tokens_.clear();
  state.positions_.clear();
  state.runs_.resize(runs.size());
  for (size_t i = 0; i < runs.size(); ++i) {
    const ForwardRun& run = runs[i];
    const int64_t count = static_cast<int64_t>(run.tokens.size());
    CHECK(run.first_position + count <= cache.capacity(), "position {} in a cache of {}", run.first_position + count,
          cache.capacity());
    state.runs_[i] = {static_cast<int64_t>(state.tokens_.size()), count, run.first_position, nullptr, nullptr};
    state.tokens_.insert(state.tokens_.end(), run.tokens.begin(), run.tokens.end());
    for (int64_t p = 0; p < count; ++p) state.positions_.push_back(static_cast<int32_t>(run.first_position + p));
  }
  const int64_t T = static_cast<int64_t>(state.tokens_.size());
  CHECK(T > 0 && T <= state.max_tokens(), "{} tokens in a forward pass of at most {}", T, state.max_tokens());

  const auto rows = [T](Tensor t) { return t.slice_rows(0, T); };
  const Tensor x = rows(state.x_), h = rows(state.h_), qkv = rows(state.qkv_), q = rows(state.q_), k = rows(state.k_),
               v = rows(state.v_), attention = rows(state.attention_), gate_up = rows(state.gate_up_),
               mlp = rows(state.mlp_);
  embedding(x, state.tokens_, policy.weight(policy.table.embedding, c.vocab_size, c.hidden_size), ex);
  for (int64_t layer = 0; layer < c.num_layers; ++layer) {
    const LayerParams& at = policy.table.layers[layer];
    const Policy::PackedLayer& packed = policy.packed_layers[layer];
    rmsnorm(h, {}, x, policy.weight(at.attention_norm, 1, c.hidden_size), c.rms_norm_eps, ex);
    matmul(qkv, h, packed.qkv, ex);
    rope_split(q, k, v, qkv, state.positions_, policy.inverse_frequency, c.num_heads, c.num_kv_heads, ex);
    const int64_t row_bytes = cache.row_bytes();
    for (size_t i = 0; i < runs.size(); ++i) {
      CachedRun& run = state.runs_[i];
      std::byte* keys = cache.keys(layer, runs[i].slot);
      std::byte* values = cache.values(layer, runs[i].slot);
      const size_t bytes = static_cast<size_t>(run.count * row_bytes);
      std::memcpy(keys + run.first_position * row_bytes, k.slice_rows(run.begin, run.count).data, bytes);
      std::memcpy(values + run.first_position * row_bytes, v.slice_rows(run.begin, run.count).data, bytes);
      run.keys = keys;
      run.values = values;
    }
    attention_cached(attention, q, state.runs_, heads, ex);
    matmul(x, attention, packed.out, ex, /*accumulate=*/true);
    rmsnorm(h, {}, x, policy.weight(at.mlp_norm, 1, c.hidden_size), c.rms_norm_eps, ex);
    matmul(gate_up, h, packed.gate_up, ex);
    swiglu(mlp, gate_up, ex);
    matmul(x, mlp, packed.down, ex, /*accumulate=*/true);
  }
  rmsnorm(h, {}, x, policy.weight(policy.table.final_norm, 1, c.hidden_size), c.rms_norm_eps, ex);
  return h;
}

}  // namespace cohort
