// Policy: config + weights + version. Rollouts and updates use this one object: there is nothing to synchronise.
#pragma once

#include <memory>
#include <vector>

#include "model/exec.h"
#include "model/ops/matmul.h"
#include "model/params.h"

namespace cohort {

// A policy that only runs forward keeps each layer's matrices in the layout that matmul reads, and no flat copy of them.
enum class PolicyUse : uint8_t { training, inference };

struct Policy {
  ModelConfig config;
  PolicyUse use = PolicyUse::training;
  DType dtype = DType::bf16;  // of weights and activations in memory; may differ from the checkpoint's
  ParamTable table;
  Arena arena{"weights"};
  Tensor weights;       // (table.size), flat; for inference the places of layers' matrices are empty
  int64_t version = 0;  // + 1 per optimizer step; cached keys and values assert it
  std::vector<float> rope_frequencies, local_rope_frequencies;  // (D / 2)

  struct PackedLayer {
    PackedWeight qkv, out, gate_up, down;
  };
  std::vector<PackedLayer> packed_layers;
  PackedWeight packed_head;

  const std::vector<float>& frequencies(int64_t layer) const {
    return config.is_local(layer) ? local_rope_frequencies : rope_frequencies;
  }
  // The (n, k) matrix at `offset` of the flat weights.
  Tensor weight(int64_t offset, int64_t n, int64_t k) const;
  // The same place in another flat buffer of the table, e.g. gradients.
  static Tensor view(Tensor flat, int64_t offset, int64_t n, int64_t k);
};

// Exit code 3 for a classifier, which has scores and no log-probs.
void require_language_model(const ModelConfig& config);

// An empty policy: table made, weights allocated and zero. For inference their pages take memory only once written.
std::unique_ptr<Policy> make_policy(const ModelConfig& config, DType dtype, int64_t shards,
                                    PolicyUse use = PolicyUse::training);
// Normal(0, 2 / (5 C)) matrices (Nguyen and Salazar 2019, "SmallInit"; 0.023 at C = 768), gains that change nothing,
// biases 0; a function of seed and table alone.
void init_weights(Policy& policy, uint64_t seed);
// Must follow each change of `weights`: refreshes the packed copies that matmul reads. Not for inference.
void repack(Policy& policy, const Exec& ex);
// For inference, in place of the former: packs layer `layer` from `weights`, the layer's span of the table (weights, flat,
// dtype of the policy), and keeps its vectors. The buffer may be used again.
void pack_layer(Policy& policy, int64_t layer, Tensor weights, const Exec& ex);
// The head, from the policy's own flat weights. For inference an embedding that is tied to it is then read from the packed
// head (embed_tokens in model/block.h), and its flat copy's memory is given back.
void pack_head(Policy& policy, const Exec& ex);

}  // namespace cohort
