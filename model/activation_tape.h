// ActivationTape: rows of activations that a forward pass leaves for the backward pass of an update. Sampler and trainer
// are one model bit for bit, so what was computed while sampling need not be computed again.
//
// A row lies in one slot, of every layer. Kept is what takes a matrix product or the attention to compute, and the
// residual stream; the rest (marked A in BlockTensors) follows row by row from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "model/arena.h"
#include "model/block.h"

namespace cohort {

// What the backward pass needs of one layer's rows.
struct LayerActivations {
  BlockTensors block;
  Tensor x_in, x_mid;  // (T, C) f32: the residual stream before the attention and before the MLP
  Tensor lse;          // (T, H) f32
};

class ActivationTape {
 public:
  // All of its memory is reserved at once, and taken as slots are first used; they are used again from the first one on.
  ActivationTape(const ModelConfig& config, DType act, int64_t slots, Device device = Device::cpu);
  static int64_t slot_bytes(const ModelConfig& config, DType act);

  // Forgets all rows. Those to come are of this version of the policy.
  void begin(int64_t version);
  int64_t version() const { return version_; }
  int64_t slots() const { return slots_; }
  int64_t free_slots() const { return slots_ - next_; }
  // The first of `rows` slots in a row; nothing when there are not so many left.
  std::optional<int64_t> take(int64_t rows);
  // The last `rows` slots that were taken are free again.
  void give_back(int64_t rows);

  // Rows of slots; without the parts marked A.
  const LayerActivations& layer(int64_t layer) const { return layers_[static_cast<size_t>(layer)]; }
  Tensor x_out() const { return x_out_; }  // (slots, C) f32: the residual stream after the last layer

 private:
  int64_t slots_, next_ = 0, version_ = -1;
  Arena arena_{"activations of sampled rows"};
  std::vector<LayerActivations> layers_;
  Tensor x_out_;
};

}  // namespace cohort
