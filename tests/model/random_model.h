// Models with what families differ in, and random weights and packs for them.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "core/rng.h"
#include "model/transformer.h"
#include "tests/model/tiny_model.h"

namespace cohort {

// What families differ in, all at once or not at all.
inline ModelConfig config_of(bool plain, bool tied) {
  ModelConfig c = tiny_config(tied);
  if (plain) return c;
  c.qkv_bias = c.out_bias = c.qk_norm = c.unit_offset_norm = c.sandwich_norms = true;
  c.activation = Activation::gelu_tanh;
  c.embedding_scale = 6.5f;
  c.attention_softcap = 5, c.logit_softcap = 7, c.attention_scale = 0.3f;
  c.window = 6;
  c.num_layers = 3;
  c.local_layers = {true, false, true};
  return c;
}

inline std::unique_ptr<Policy> make_random_policy(const ModelConfig& config, DType dtype, const Exec& ex) {
  auto policy = make_policy(config, dtype, 1);
  Random random(11, Stream::kTest);
  for (const ParamEntry& entry : policy->table.entries) {
    std::vector<std::byte> space(static_cast<size_t>(entry.size()) * dtype_size(dtype));
    const Tensor weight(space.data(), dtype, {entry.size()});
    for (int64_t i = 0; i < entry.size(); ++i) {
      const float value = (entry.kind == ParamKind::matrix ? 0.25f : 0.5f) * random.normal() +
                          (entry.kind == ParamKind::gain ? 1.0f : 0.0f);
      dtype == DType::f32 ? void(weight.f32()[i] = value) : void(weight.b16()[i] = to_bf16(value));
    }
    set_weights(*policy, entry.offset, weight, ex);
  }
  return policy;
}

// One or two groups: a prompt and its completions.
inline TokenPack random_pack(std::mt19937& random) {
  const auto upto = [&](uint32_t n) { return static_cast<int64_t>(random() % n); };
  TokenPack pack;
  for (int64_t groups = 1 + upto(2); groups > 0; --groups) {
    const auto rows = [&](int64_t count, int64_t position) {
      for (int64_t i = 0; i < count; ++i) {
        pack.tokens.push_back(static_cast<int32_t>(upto(80)));
        pack.positions.push_back(static_cast<int32_t>(position + i));
      }
    };
    const int64_t begin = static_cast<int64_t>(pack.tokens.size()), prompt = 1 + upto(9);
    pack.runs.push_back({begin, prompt, begin, 0});
    rows(prompt, 0);
    for (int64_t completions = 1 + upto(3); completions > 0; --completions) {
      const int64_t at = static_cast<int64_t>(pack.tokens.size()), count = upto(12);
      if (count > 0) pack.runs.push_back({at, count, begin, prompt});
      rows(count, prompt);
      for (int64_t i = 0; i <= count; ++i) {
        pack.rows.push_back(static_cast<int32_t>(i == 0 ? begin + prompt - 1 : at + i - 1));
        pack.targets.push_back(static_cast<int32_t>(upto(80)));
      }
    }
  }
  return pack;
}

}  // namespace cohort
