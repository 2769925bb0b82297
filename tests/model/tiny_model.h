// Small models for tests: fast, and with every shape different from the others.
#pragma once

#include <memory>

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

// Weights much larger than at initialisation, so that attention and the head are far from uniform.
inline std::unique_ptr<Policy> tiny_policy(DType dtype, uint64_t seed, const Exec& ex, bool tied = true, int64_t shards = 4) {
  auto policy = make_policy(tiny_config(tied), dtype, shards);
  init_weights(*policy, seed);
  for (int64_t i = 0; i < policy->weights.size(); ++i) {
    if (dtype == DType::f32) {
      policy->weights.f32()[i] *= policy->weights.f32()[i] == 1.0f ? 1.0f : 1.75f;
    } else {
      const float value = to_float(policy->weights.b16()[i]);
      policy->weights.b16()[i] = to_bf16(value == 1.0f ? 1.0f : 1.75f * value);
    }
  }
  repack(*policy, ex);
  return policy;
}

}  // namespace cohort
