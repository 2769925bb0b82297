// Policy: config + weights + version. Rollouts and updates use this one object: there is nothing to synchronise.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/exec.h"
#include "model/ops/matmul.h"
#include "model/params.h"

namespace cohort {

// Training takes memory for its activations at once; inference as it needs it, and has no gradients.
enum class PolicyUse : uint8_t { training, inference };

// A run of the table that is one in memory: a matrix that is packed, or (packed is null) a parameter in `Policy::weights`.
struct WeightPiece {
  PackedWeight* packed;
  int64_t begin, end;  // elements of the table
  bool decay;          // as ParamEntry::decay
};

// The numbers of a table, which an optimizer can train: a model's weights, or those of an adapter (lora.h).
struct WeightStore {
  Device device = Device::cpu;
  DType dtype = DType::bf16;  // of weights (and of a model's activations) in memory; may differ from the checkpoint's
  ParamTable table;
  Arena arena{"weights"};
  // (table.size), flat: vectors, and an embedding that is not the head. The places of other matrices are empty and take no
  // memory: all that there is of those is the layout that the products read. On a GPU that is the flat one, so that all
  // weights are here, at the same addresses as long as the policy lives.
  Tensor weights;
  std::vector<WeightPiece> pieces;  // of the whole table but the gaps between parameters, in order

  // The (n, k) matrix at `offset` of the flat weights: vectors, or an embedding that is not the head.
  Tensor weight(int64_t offset, int64_t n, int64_t k) const;
  // The same place in another flat buffer of the table, e.g. gradients.
  static Tensor view(Tensor flat, int64_t offset, int64_t n, int64_t k);
};

struct LoraAdapter;

struct Policy : WeightStore {
  ModelConfig config;
  PolicyUse use = PolicyUse::training;
  int64_t version = 0;  // + 1 per optimizer step; cached keys and values assert it
  std::vector<float> rope_frequencies, local_rope_frequencies;  // (D / 2)

  struct PackedLayer {
    PackedWeight qkv, out, gate_up, down;
  };
  std::vector<PackedLayer> packed_layers;
  PackedWeight packed_head;
  // What is trained in place of the weights, which then are the base's with the adapter merged into them; null: the weights
  // themselves are.
  std::shared_ptr<LoraAdapter> lora;

  const std::vector<float>& frequencies(int64_t layer) const {
    return config.is_local(layer) ? local_rope_frequencies : rope_frequencies;
  }
};

// Which packed matrix of a layer.
using LayerMatrix = PackedWeight Policy::PackedLayer::*;
inline constexpr std::array<LayerMatrix, 4> kLayerMatrices = {&Policy::PackedLayer::qkv, &Policy::PackedLayer::out,
                                                             &Policy::PackedLayer::gate_up, &Policy::PackedLayer::down};

// Exit code 3 for a classifier, which has scores and no log-probs.
void require_language_model(const ModelConfig& config);

// A policy without numbers: each parameter must be set before it is read.
std::unique_ptr<Policy> make_policy(const ModelConfig& config, DType dtype, int64_t shards,
                                    PolicyUse use = PolicyUse::training, Device device = Device::cpu);
// Sets elements [begin, begin + flat.size()) of the table; flat has the store's dtype. Gaps between parameters are passed over.
void set_weights(WeightStore& store, int64_t begin, Tensor flat, const Exec& ex);
// The way back, on the calling thread; 0 in the gaps.
void copy_weights(const WeightStore& store, int64_t begin, Tensor flat);
// Sets all: normal(0, 2 / (5 C)) matrices (Nguyen and Salazar 2019, "SmallInit"; 0.023 at C = 768), gains that change
// nothing, biases 0; a function of seed and table alone.
void init_weights(Policy& policy, uint64_t seed, const Exec& ex);
// Whether the products of the policy's device are fit for equal bits; once, when it has weights. Exit code 1 when not. The CPU's
// are, by construction.
void check_products(const Policy& policy, const Exec& ex);
// The fingerprint (core/hash.h) of all weights, flat.
std::string weights_fingerprint(const WeightStore& store);
// A policy for inference with the same numbers. Packed matrices that `own` accepts are copied; all others, and what is flat, lie
// in the memory of `policy`, which lives longer and must not change them.
std::unique_ptr<Policy> share_policy(const Policy& policy, const std::function<bool(const PackedWeight&)>& own);

}  // namespace cohort
