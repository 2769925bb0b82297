// Params: a table {name, shape, offset, decay} over one flat buffer, layer by layer. The same table serves weights,
// gradients, Adam's moments and master weights; checkpoint shards are fixed spans of the buffer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/arena.h"
#include "model/config.h"

namespace cohort {

struct ParamEntry {
  std::string name;            // as in the safetensors file
  std::array<int64_t, 2> shape;  // (N, K); vectors are (1, C)
  int64_t offset;              // in elements
  bool decay;                  // weight decay applies (matrices, not gains)
  int64_t size() const { return shape[0] * shape[1]; }
};

// Offsets of one layer's parameters. q, k, v lie side by side, and so do gate and up, so that each group is one matrix.
struct LayerParams {
  int64_t attention_norm, qkv, out, mlp_norm, gate_up, down;
};

struct ParamTable {
  std::vector<ParamEntry> entries;
  std::vector<LayerParams> layers;
  int64_t embedding = 0, final_norm = 0, head = 0;  // head == embedding when tied
  int64_t size = 0;   // elements, padded so that `shards` equal spans cover it
  int64_t count = 0;  // parameters, without padding
};

// `shards`: the number of equal spans the buffer is cut into for optimizer state and checkpoints (logical ranks).
ParamTable make_param_table(const ModelConfig& config, int64_t shards);

}  // namespace cohort
