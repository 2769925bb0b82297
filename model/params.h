// Params: a table {name, shape, offset, kind} over one flat buffer, layer by layer. The same table serves weights,
// gradients, Adam's moments and master weights; checkpoint shards are fixed spans of the buffer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/arena.h"
#include "model/config.h"

namespace cohort {

enum class ParamKind : uint8_t { matrix, gain, bias };

struct ParamEntry {
  std::string name;              // as in the safetensors file
  std::array<int64_t, 2> shape;  // (N, K); vectors are (1, C)
  int64_t offset;                // in elements
  ParamKind kind;
  int64_t size() const { return shape[0] * shape[1]; }
  bool decay() const { return kind == ParamKind::matrix; }  // weight decay applies
  // As in the safetensors file: {N, K}, or {C} for gains and biases.
  std::vector<int64_t> stored_shape() const {
    if (kind == ParamKind::matrix) return {shape[0], shape[1]};
    return {shape[1]};
  }
};

constexpr int64_t kNoParam = -1;

// Elements [begin, end) of the buffer.
struct ParamSpan {
  int64_t begin, end;
};

// Offsets of one layer's parameters; kNoParam where the model has none. q, k, v lie side by side, and so do their biases,
// and gate and up, so that each group is one matrix or vector.
struct LayerParams {
  int64_t attention_norm, qkv, qkv_bias = kNoParam, q_norm = kNoParam, k_norm = kNoParam, out, out_bias = kNoParam,
                               attention_out_norm = kNoParam, mlp_norm, gate_up, down, mlp_out_norm = kNoParam;
  ParamSpan span;  // all of them
};

struct ParamTable {
  std::vector<ParamEntry> entries;
  std::vector<LayerParams> layers;
  int64_t embedding = 0, final_norm = 0, head = 0;  // head == embedding when tied; a classifier's head is its score
  int64_t head_rows = 0;                            // V, or a classifier's labels
  int64_t size = 0;   // elements, padded so that `shards` equal spans cover it
  int64_t count = 0;  // parameters, without padding
};

// `shards`: the number of equal spans the buffer is cut into for optimizer state and checkpoints (logical ranks).
ParamTable make_param_table(const ModelConfig& config, int64_t shards);

}  // namespace cohort
