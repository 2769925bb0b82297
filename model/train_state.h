// What a TrainState holds (transformer.h): for the two files that fill it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/lora.h"
#include "model/transformer.h"

namespace cohort {

using Layers = std::vector<LayerActivations>;

struct TrainState::Impl {
  Arena arena{"training activations"};
  TrainLimits limits;
  bool checkpointing;
  InputsInGradient lent;  // checkpointing: where inputs of `layers` lie; none: in memory of their own
  Layers layers;  // of rows that are run forward; checkpointing: all but x_in are `shared`
  Layers shared;  // with a tape or checkpointing: one layer's for all of them, of all rows
  Tensor x_out, rstd_out, h_out, selected;  // after the last layer; selected (n, C) act
  Tensor qkv, mlp;                          // forward scratch (T, (H + 2K) D) f32, (T, F) act
  Tensor dx, dselected;                     // (T, C) f32, (n, C) f32
  BlockGradients scratch;
  LoraScratch lora;  // of a policy with an adapter
  std::vector<int32_t> kept_rows;  // tokens of the pack, ascending: rows of the embedding that get a gradient
  std::unique_ptr<Arena> kept_sums;  // (parts * kept_rows, C) at least, or null
};

}  // namespace cohort
