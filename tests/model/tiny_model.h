// Small models for tests: fast, and with every shape different from the others.
#pragma once

#include <memory>
#include <vector>

#include "model/policy.h"

namespace cohort {

inline ModelConfig tiny_config(bool tied = true) {
  ModelConfig config;
  config.vocab_size = 80;
  config.hidden_size = 48;
  config.intermediate_size = 112;
  config.num_layers = 2;
  config.num_heads = 6;
  config.num_kv_heads = 2;
  config.head_size = 16;  // not hidden / heads
  config.max_positions = 128;
  config.tie_word_embeddings = tied;
  config.dtype = StoredDType::f32;
  config.eos_token_ids = {1};
  return config;
}

// All weights of a policy, flat: a copy, and the way back.
struct FlatWeights {
  explicit FlatWeights(const Policy& policy)
      : dtype(policy.dtype), bytes(static_cast<size_t>(policy.table.size) * dtype_size(policy.dtype)) {
    copy_weights(policy, 0, t());
  }
  Tensor t() { return {bytes.data(), dtype, {static_cast<int64_t>(bytes.size() / dtype_size(dtype))}}; }
  float get(int64_t i) { return dtype == DType::f32 ? t().f32()[i] : to_float(t().b16()[i]); }
  void set(int64_t i, float value) {
    dtype == DType::f32 ? void(t().f32()[i] = value) : void(t().b16()[i] = to_bf16(value));
  }
  void put(Policy& policy, const Exec& ex) { set_weights(policy, 0, t(), ex); }

  DType dtype;
  std::vector<std::byte> bytes;
};

// Weights much larger than at initialisation, so that attention and the head are far from uniform.
inline std::unique_ptr<Policy> tiny_policy(DType dtype, uint64_t seed, const Exec& ex, bool tied = true, int64_t shards = 4) {
  auto policy = make_policy(tiny_config(tied), dtype, shards, PolicyUse::training, ex.device);
  init_weights(*policy, seed, ex);
  FlatWeights flat(*policy);
  for (int64_t i = 0; i < policy->table.size; ++i) {
    const float value = flat.get(i);
    flat.set(i, value == 1.0f ? 1.0f : 1.75f * value);
  }
  flat.put(*policy, ex);
  return policy;
}

}  // namespace cohort
