#include "model/load_weights.h"

#include <algorithm>

#include "model/formats/read_weights.h"

namespace cohort {
namespace {

WeightTarget target_of(const ParamEntry& entry, Tensor out) { return {entry.name, entry.stored_shape(), out.data}; }

// The parameters whose offsets `wanted` accepts; `place` says where each goes.
template <typename Wanted, typename Place>
std::vector<WeightTarget> targets_of(const ParamTable& table, const Wanted& wanted, const Place& place) {
  std::vector<WeightTarget> targets;
  for (const ParamEntry& entry : table.entries)
    if (wanted(entry.offset)) targets.push_back(target_of(entry, place(entry)));
  return targets;
}

TiedWeights tied_weights(const ModelConfig& config) {
  if (!config.tie_word_embeddings || config.is_classifier()) return {};
  return {"lm_head.weight", "model.embed_tokens.weight"};
}

void load_packed(Policy& policy, const SafetensorsFolder& folder, const std::string& where, const Exec& ex) {
  const auto& layers = policy.table.layers;
  const auto in_policy = [&](const ParamEntry& entry) {
    return policy.weight(entry.offset, entry.shape[0], entry.shape[1]);
  };
  // The head first: its flat copy's memory is free again before the layers need theirs.
  const ParamSpan inside{layers.front().span.begin, layers.back().span.end};
  const auto outside = [&](int64_t offset) { return offset < inside.begin || offset >= inside.end; };
  read_weights(folder, targets_of(policy.table, outside, in_policy), stored_as(policy.dtype), where, *ex.pool);
  pack_head(policy, ex);

  int64_t longest = 0;
  for (const LayerParams& layer : layers) longest = std::max(longest, layer.span.end - layer.span.begin);
  Arena arena("a layer's weights");
  const size_t piece = arena.plan("weights", policy.dtype, {longest});
  arena.commit();
  for (size_t l = 0; l < layers.size(); ++l) {
    const ParamSpan span = layers[l].span;
    const Tensor flat(arena[piece].data, policy.dtype, {span.end - span.begin});
    const auto of_layer = [&](int64_t offset) { return offset >= span.begin && offset < span.end; };
    const auto in_buffer = [&](const ParamEntry& entry) {
      return Policy::view(flat, entry.offset - span.begin, entry.shape[0], entry.shape[1]);
    };
    read_weights(folder, targets_of(policy.table, of_layer, in_buffer), stored_as(policy.dtype), where, *ex.pool);
    pack_layer(policy, static_cast<int64_t>(l), flat, ex);
  }
}

}  // namespace

void check_weights(const ModelConfig& config, const SafetensorsFolder& folder, const std::string& where) {
  const auto nowhere = [](const ParamEntry&) { return Tensor(); };
  check_weights(folder, targets_of(make_param_table(config, 1), [](int64_t) { return true; }, nowhere),
                tied_weights(config), where);
}

std::unique_ptr<Policy> load_policy(const ModelConfig& config, const SafetensorsFolder& folder, const std::string& where,
                                    DType dtype, int64_t shards, PolicyUse use, const Exec& ex) {
  check_weights(config, folder, where);  // before memory is taken for what the config claims
  std::unique_ptr<Policy> policy = make_policy(config, dtype, shards, use);
  if (use == PolicyUse::inference) {
    load_packed(*policy, folder, where, ex);
  } else {
    const auto in_policy = [&](const ParamEntry& entry) {
      return policy->weight(entry.offset, entry.shape[0], entry.shape[1]);
    };
    read_weights(folder, targets_of(policy->table, [](int64_t) { return true; }, in_policy), stored_as(dtype), where,
                 *ex.pool);
  }
  return policy;
}

}  // namespace cohort
