#include "model/load_weights.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

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

// Reads the parameters of `part` through `flat`, a buffer of its size.
void load_part(Policy& policy, ParamSpan part, Tensor flat, const SafetensorsFolder& folder, const std::string& where, bool new_score,
               const Exec& ex) {
  const auto in_part = [&](int64_t offset) {
    return offset >= part.begin && offset < part.end && (!new_score || offset != policy.table.head);
  };
  if (new_score) std::memset(flat.data, 0, flat.bytes());  // where the score is to be
  const auto in_buffer = [&](const ParamEntry& entry) {
    return Policy::view(flat, entry.offset - part.begin, entry.shape[0], entry.shape[1]);
  };
  read_weights(folder, targets_of(policy.table, in_part, in_buffer), stored_as(policy.dtype), where, *ex.pool);
  set_weights(policy, part.begin, flat, ex);
}

}  // namespace

void check_weights(const ModelConfig& config, const SafetensorsFolder& folder, const std::string& where) {
  const auto nowhere = [](const ParamEntry&) { return Tensor(); };
  check_weights(folder, targets_of(make_param_table(config, 1), [](int64_t) { return true; }, nowhere),
                tied_weights(config), where);
}

namespace {

void check_weights_without_score(const ModelConfig& config, const SafetensorsFolder& folder, const std::string& where) {
  const ParamTable table = make_param_table(config, 1);
  const auto nowhere = [](const ParamEntry&) { return Tensor(); };
  check_weights(folder, targets_of(table, [&](int64_t offset) { return offset != table.head; }, nowhere), {"lm_head.weight", ""}, where);
}

}  // namespace

std::unique_ptr<Policy> load_policy(const ModelConfig& config, const SafetensorsFolder& folder, const std::string& where,
                                    DType dtype, int64_t shards, PolicyUse use, const Exec& ex, bool new_score) {
  // Before memory is taken for what the config claims.
  new_score ? check_weights_without_score(config, folder, where) : check_weights(config, folder, where);
  std::unique_ptr<Policy> policy = make_policy(config, dtype, shards, use, ex.device);
  const auto& layers = policy->table.layers;
  const auto load_parts = [&](std::span<const ParamSpan> parts) {
    int64_t longest = 0;
    for (const ParamSpan& part : parts) longest = std::max(longest, part.end - part.begin);
    Arena arena("a part of the weights");
    const size_t piece = arena.plan("weights", dtype, {longest});
    arena.commit(Arena::Pages::lazy_large);
    for (const ParamSpan& part : parts)
      load_part(*policy, part, {arena[piece].data, dtype, {part.end - part.begin}}, folder, where, new_score, ex);
  };
  // Embedding and head first, the largest: their flat copies' memory is free again before the layers need theirs.
  const ParamSpan before{0, layers.front().span.begin}, behind{layers.back().span.end, policy->table.size};
  load_parts({&before, 1});
  load_parts({&behind, 1});
  std::vector<ParamSpan> spans;
  for (const LayerParams& layer : layers) spans.push_back(layer.span);
  load_parts(spans);
  check_products(*policy, ex);
  return policy;
}

}  // namespace cohort
