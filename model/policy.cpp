#include "model/policy.h"

#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/rng.h"
#include "model/rope_scaling.h"

namespace cohort {
namespace {

// Normal numbers of a parameter: each a function of (seed, parameter index, place), four words of Philox for two numbers.
void fill_normal(Tensor weight, float deviation, uint64_t seed, uint32_t parameter) {
  const int64_t count = weight.size();
  Random random(seed, Stream::kInit, parameter);
  for (int64_t i = 0; i < count; ++i) {
    const float value = deviation * random.normal();
    if (weight.dtype == DType::f32) {
      weight.f32()[i] = value;
    } else {
      weight.b16()[i] = to_bf16(value);
    }
  }
}

void fill(Tensor weight, float value) {
  for (int64_t i = 0; i < weight.size(); ++i) {
    if (weight.dtype == DType::f32) {
      weight.f32()[i] = value;
    } else {
      weight.b16()[i] = to_bf16(value);
    }
  }
}

}  // namespace

Tensor Policy::view(Tensor flat, int64_t offset, int64_t n, int64_t k) {
  CHECK(offset >= 0 && offset + n * k <= flat.size(), "[{}, {} + {} x {}) of {} parameters", offset, offset, n, k, flat.size());
  return {static_cast<char*>(flat.data) + static_cast<size_t>(offset) * dtype_size(flat.dtype), flat.dtype, {n, k},
          flat.device};
}

Tensor Policy::weight(int64_t offset, int64_t n, int64_t k) const { return view(weights, offset, n, k); }

void require_language_model(const ModelConfig& config) {
  CHECK_INPUT(!config.is_classifier(), "{} is a reward model: it scores texts and cannot write any", config.architecture);
}

std::unique_ptr<Policy> make_policy(const ModelConfig& config, DType dtype, int64_t shards, PolicyUse use) {
  auto policy = std::make_unique<Policy>();
  policy->use = use;
  policy->config = config;
  policy->dtype = dtype;
  policy->table = make_param_table(config, shards);
  const size_t weights = policy->arena.plan("weights", dtype, {policy->table.size});
  policy->arena.commit(use == PolicyUse::inference ? Arena::Pages::lazy : Arena::Pages::all_now);
  policy->weights = policy->arena[weights];
  policy->rope_frequencies = rope_frequencies(config.rope, config.head_size);
  policy->local_rope_frequencies = rope_frequencies(config.local_rope, config.head_size);
  policy->packed_layers.resize(static_cast<size_t>(config.num_layers));
  const int64_t C = config.hidden_size, F = config.intermediate_size, q = config.num_heads * config.head_size,
                kv = config.num_kv_heads * config.head_size;
  std::vector<PackedShape> shapes;
  for (Policy::PackedLayer& layer : policy->packed_layers)
    shapes.insert(shapes.end(),
                  {{&layer.qkv, q + 2 * kv, C}, {&layer.out, C, q}, {&layer.gate_up, 2 * F, C}, {&layer.down, C, F}});
  shapes.push_back({&policy->packed_head, policy->table.head_rows, C});
  reserve_packed(shapes, dtype);
  return policy;
}

void init_weights(Policy& policy, uint64_t seed) {
  const float deviation = std::sqrt(2.0f / (5.0f * static_cast<float>(policy.config.hidden_size)));
  for (size_t i = 0; i < policy.table.entries.size(); ++i) {
    const ParamEntry& entry = policy.table.entries[i];
    const Tensor weight = policy.weight(entry.offset, entry.shape[0], entry.shape[1]);
    if (entry.kind == ParamKind::matrix) {
      fill_normal(weight, deviation, seed, static_cast<uint32_t>(i));
    } else {
      fill(weight, entry.kind == ParamKind::gain && !policy.config.unit_offset_norm ? 1.0f : 0.0f);
    }
  }
}

namespace {

// Packs one layer whose span of the table begins at `flat`'s element 0.
void pack_matrices(Policy& policy, int64_t layer, Tensor flat, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const int64_t C = c.hidden_size, F = c.intermediate_size, q = c.num_heads * c.head_size,
                kv = c.num_kv_heads * c.head_size;
  const LayerParams& at = policy.table.layers[layer];
  Policy::PackedLayer& packed = policy.packed_layers[layer];
  const auto matrix = [&](int64_t offset, int64_t n, int64_t k) {
    return Policy::view(flat, offset - at.span.begin, n, k);
  };
  pack_weight(packed.qkv, matrix(at.qkv, q + 2 * kv, C), ex);
  pack_weight(packed.out, matrix(at.out, C, q), ex);
  pack_weight(packed.gate_up, matrix(at.gate_up, 2 * F, C), ex);
  pack_weight(packed.down, matrix(at.down, C, F), ex);
}

}  // namespace

void pack_head(Policy& policy, const Exec& ex) {
  const ParamTable& table = policy.table;
  const Tensor head = policy.weight(table.head, table.head_rows, policy.config.hidden_size);
  pack_weight(policy.packed_head, head, ex);
  if (policy.use == PolicyUse::inference) policy.arena.release(head);
}

void pack_layer(Policy& policy, int64_t layer, Tensor weights, const Exec& ex) {
  const ParamSpan span = policy.table.layers[layer].span;
  CHECK(policy.use == PolicyUse::inference && weights.size() == span.end - span.begin && weights.dtype == policy.dtype,
        "layer {} from {} {} of {}", layer, weights.size(), dtype_name(weights.dtype), span.end - span.begin);
  pack_matrices(policy, layer, weights, ex);
  for (const ParamEntry& entry : policy.table.entries) {
    if (entry.kind == ParamKind::matrix || entry.offset < span.begin || entry.offset >= span.end) continue;
    const Tensor from = Policy::view(weights, entry.offset - span.begin, 1, entry.size());
    std::memcpy(policy.weight(entry.offset, 1, entry.size()).data, from.data, from.bytes());
  }
}

void repack(Policy& policy, const Exec& ex) {
  CHECK(policy.use == PolicyUse::training, "a policy for inference is packed layer by layer");
  for (int64_t layer = 0; layer < policy.config.num_layers; ++layer) {
    const ParamSpan span = policy.table.layers[layer].span;
    pack_matrices(policy, layer, policy.weight(span.begin, 1, span.end - span.begin), ex);
  }
  pack_head(policy, ex);
}

}  // namespace cohort
