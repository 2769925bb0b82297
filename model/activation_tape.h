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

// Layers' inputs, (rows, hidden_size) f32 each, in the flat gradient: that of layer l lies in the gradient of a layer below l, which
// is written when l's own backward pass is over. The first layer's needs memory of its own.
struct InputsInGradient {
  int64_t each = 0;   // inputs that the gradient of a layer holds; 0: they do not fit
  int64_t input = 0;  // elements
  InputsInGradient() = default;
  InputsInGradient(const ParamTable& table, int64_t rows, int64_t hidden_size);
  int64_t lender(int64_t layer) const { return (layer - 1) / each; }
  float* at(Tensor flat, const ParamTable& table, int64_t layer) const {
    return flat.f32() + table.layers[static_cast<size_t>(lender(layer))].span.begin + (layer - 1) % each * input;
  }
  // Layers, from the first on, whose gradients hold something.
  int64_t lenders(int64_t layers) const { return each > 0 && layers > 1 ? lender(layers - 1) + 1 : 0; }
};

// What is kept of a row: all that the backward pass would need a forward pass for, or each layer's input alone, from which the
// layer is run again (checkpointing).
enum class TapeRows : uint8_t { all, inputs };

class ActivationTape {
 public:
  // All of its memory is reserved at once, and taken as slots are first used; they are used again from the first one on.
  ActivationTape(const ModelConfig& config, DType act, int64_t slots, TapeRows kept = TapeRows::all, Device device = Device::cpu);
  static int64_t slot_bytes(const ModelConfig& config, DType act, TapeRows kept = TapeRows::all);
  TapeRows kept() const { return kept_; }

  // Forgets all rows. Those to come are of this version of the policy.
  void begin(int64_t version);
  // Of a tape of inputs that has no rows yet: until `leave_gradient` they lie in this flat gradient (table.size) f32, wherever they
  // fit. They are lost when gradients are written there, layer by layer as InputsInGradient says.
  void lie_in_gradient(Tensor flat, const ParamTable& table);
  // Rows that lie in a gradient move to memory of the tape's own.
  void leave_gradient();
  // The gradient that it lies in, or null, and how many layers' gradients, from the first on, it takes.
  const float* gradient() const { return gradient_; }
  int64_t lenders() const { return lenders_; }
  int64_t version() const { return version_; }
  int64_t slots() const { return slots_; }
  int64_t free_slots() const { return slots_ - aside_ - next_; }
  // Sets the last `rows` slots aside from now on, which nobody takes: where a pass whose rows must always lie at one place leaves
  // them (pass_graphs.h), before move_from_aside.
  void set_aside(int64_t rows);
  int64_t aside() const { return aside_; }
  int64_t first_aside() const { return slots_ - aside_; }
  // The first `rows` of them become slots from `to` on. On a GPU.
  void move_from_aside(int64_t to, int64_t rows, const Exec& ex) const;
  // The first of `rows` slots in a row; nothing when there are not so many left.
  std::optional<int64_t> take(int64_t rows);
  // The last `rows` slots that were taken are free again.
  void give_back(int64_t rows);

  // Rows of slots; without the parts marked A, or x_in alone.
  const LayerActivations& layer(int64_t layer) const { return layers_[static_cast<size_t>(layer)]; }
  Tensor x_out() const { return x_out_; }  // (slots, C) f32: the residual stream after the last layer

 private:
  int64_t slots_, next_ = 0, aside_ = 0, version_ = -1;
  TapeRows kept_;
  Arena arena_{"activations of sampled rows"};
  std::vector<LayerActivations> layers_;
  std::vector<Tensor> own_inputs_;  // of layers whose x_in lies in a gradient
  const float* gradient_ = nullptr;
  int64_t lenders_ = 0;
  Tensor x_out_;
};

}  // namespace cohort
