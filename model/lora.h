// LoRA (Hu et al. 2021, arXiv:2106.09685): matrices W of a frozen model are trained as W + scale B A, with A (rank, K) and
// B (N, rank), scale = alpha / rank.
//
// Sampling and training both read the merged weight, so nothing of the forward pass knows of adapters, and what was sampled is what
// is trained, bit for bit. The merged weight is a function of base, A and B alone (ops/merge.h), made anew after each
// optimizer step. With y = x W'^T the gradients are dA = (scale dy B)^T x and dB = dy^T (scale x A^T): two thin products a row
// in place of the gradient of W, which is nowhere.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/block.h"
#include "model/ops/merge.h"
#include "model/policy.h"

namespace cohort {

struct LoraConfig {
  int64_t rank = 16;
  double alpha = 32;
  std::vector<std::string> target_modules;  // of kLoraModules
  bool rslora = false;                      // scale = alpha / sqrt(rank) (Kalajdzievski 2023, arXiv:2312.03732)
  float scale() const;
};

inline constexpr std::array<const char*, 7> kLoraModules = {"q_proj", "k_proj",  "v_proj",   "o_proj",
                                                            "gate_proj", "up_proj", "down_proj"};
// The same without repetition, in this order; "all-linear" is all of them. Exit code 2 for any other name, and for none.
std::vector<std::string> lora_modules(const std::vector<std::string>& names);

// A module of a layer: `rows` rows of a packed matrix from `row` on. Offsets of its A (rank, K) and B (rows, rank) in the
// adapter's table.
struct LoraTarget {
  std::string module;  // "model.layers.0.self_attn.q_proj"
  int64_t row, rows, a, b;
};
// The targets in a packed matrix (n, k), by row; their A's lie side by side. None: the matrix is the base's.
struct LoraMatrix {
  int64_t n = 0, k = 0;
  std::vector<LoraTarget> targets;
  int64_t columns(int64_t rank) const { return rank * static_cast<int64_t>(targets.size()); }
};
// The adapter's parameters, named as PEFT does, A of a matrix before B; layers[l][i] is kLayerMatrices[i] of layer l.
struct LoraLayout {
  ParamTable table;
  std::vector<std::array<LoraMatrix, kLayerMatrices.size()>> layers;
  // Elements of weights that are merged, and the largest matrix of all A's (and B's) of one matrix: rows n, columns.
  int64_t merged = 0, largest_n = 0, most_columns = 0;
};
LoraLayout make_lora_layout(const ModelConfig& model, const ParamTable& weights, const LoraConfig& config, int64_t shards);

struct LoraAdapter {
  LoraConfig config;
  LoraLayout layout;
  WeightStore params;  // A and B, float32, on the CPU; its table is the layout's
  // The model without the adapter: its own are the matrices that have targets, all else is the policy's memory. What the
  // merged weights are made from, and the reference of a KL term.
  std::unique_ptr<Policy> base;
  // What the backward pass reads, of each matrix with targets: scale A of all targets, and scale B, a block for each target
  // in its rows and columns; in the dtype of activations.
  struct Factors {
    PackedWeight a, b;  // (columns, k), (n, columns)
  };
  std::vector<std::array<Factors, kLayerMatrices.size()>> factors;
  size_t bytes() const;  // of all of it
};

// The policy, which has its weights and is on the CPU, is from now on base + adapter: A uniform in +-1/sqrt(K) (PEFT's kaiming_uniform
// with a = sqrt(5)), a function of seed and layout; B 0, so that no weight changes. `shards`: as make_param_table.
void add_lora(Policy& policy, const LoraConfig& config, int64_t shards, uint64_t seed, const Exec& ex);
// Makes the merged weights from base, A and B; whoever changes A or B calls it.
void merge_lora(Policy& policy, const Exec& ex);
// The terms of a matrix, for merge_low_rank; `params`: flat, of the layout's table.
std::vector<LowRankTerm> lora_terms(const LoraMatrix& matrix, const LoraConfig& config, const float* params);

// Scratch of the backward pass, one for all layers.
struct LoraScratch {
  Tensor down, up;  // (T, most columns) act: dy times scale B, and scale x A^T
  Tensor blocks;    // (largest n, most columns) f32: the gradient of a matrix's B's, before its blocks are taken
  Tensor vector;    // f32: gradients of frozen vectors, which nobody reads
};
void plan_lora_scratch(LoraScratch& scratch, const Policy& policy, int64_t rows, const PlanPiece& plan);
// Overwrites the gradients of the matrix's A's and B's in `flat` (the adapter's table) f32.   dy (T, n), x (T, k) act
void lora_backward(const LoraAdapter& lora, int64_t layer, size_t matrix, Tensor flat, Tensor dy, Tensor x,
                   const LoraScratch& scratch, std::span<const RowPart> parts, const Exec& ex);

}  // namespace cohort
