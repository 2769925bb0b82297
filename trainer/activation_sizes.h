// Bytes of activations, as sampling and training allocate them, for the memory plan.
#pragma once

#include <cstdint>

#include "model/config.h"
#include "model/tensor.h"

namespace cohort {

struct Sizes {
  int64_t C, F, V, L, width, kv_width, heads, kv_heads, act;  // act: bytes of an activation
  bool qk_norm, sandwich_norms;
  Sizes(const ModelConfig& m, DType dtype)
      : C(m.hidden_size),
        F(m.intermediate_size),
        V(m.vocab_size),
        L(m.num_layers),
        width(m.num_heads * m.head_size),
        kv_width(m.num_kv_heads * m.head_size),
        heads(m.num_heads),
        kv_heads(m.num_kv_heads),
        act(static_cast<int64_t>(dtype_size(dtype))),
        qk_norm(m.qk_norm),
        sandwich_norms(m.sandwich_norms) {}
};

// As ForwardState, and the hidden states that are drawn from, with their logits where filters must see all of a row.
int64_t rollout_activations(const Sizes& s, int64_t rows, int64_t sequences, bool filters);

// Which layers' activations a TrainState keeps for the rows of a pass.
enum class Kept { all_layers, inputs_and_one_layer, all_layers_and_one, one_layer };

// As TrainState: what each layer keeps, and what the backward pass works in.
int64_t training_activations(const Sizes& s, int64_t rows, Kept kept);

}  // namespace cohort
