#include "model/activation_tape.h"

#include "core/check.h"

namespace cohort {
namespace {

void plan_layer(LayerActivations& a, const ModelConfig& c, DType act, int64_t slots, const PlanPiece& plan) {
  plan(a.x_in, "x_in", DType::f32, slots, c.hidden_size), plan(a.x_mid, "x_mid", DType::f32, slots, c.hidden_size);
  plan(a.lse, "lse", DType::f32, slots, c.num_heads);
  plan_block(a.block, c, act, slots, BlockUse::tape, plan);
}

}  // namespace

ActivationTape::ActivationTape(const ModelConfig& config, DType act, int64_t slots, Device device)
    : slots_(slots), layers_(static_cast<size_t>(config.num_layers)) {
  std::vector<std::pair<Tensor*, size_t>> planned;
  const PlanPiece plan = [&](Tensor& tensor, const char* name, DType dtype, int64_t rows, int64_t cols) {
    planned.emplace_back(&tensor, arena_.plan(name, dtype, {rows, cols}));
  };
  for (LayerActivations& layer : layers_) plan_layer(layer, config, act, slots, plan);
  plan(x_out_, "x_out", DType::f32, slots, config.hidden_size);
  arena_.commit(Arena::Pages::lazy, device);
  for (auto& [tensor, index] : planned) *tensor = arena_[index];
}

int64_t ActivationTape::slot_bytes(const ModelConfig& config, DType act) {
  int64_t bytes = 0;
  const PlanPiece add = [&](Tensor&, const char*, DType dtype, int64_t rows, int64_t cols) {
    bytes += rows * cols * static_cast<int64_t>(dtype_size(dtype));
  };
  LayerActivations layer;
  plan_layer(layer, config, act, 1, add);
  return config.num_layers * bytes + config.hidden_size * static_cast<int64_t>(dtype_size(DType::f32));
}

void ActivationTape::begin(int64_t version) {
  version_ = version;
  next_ = 0;
}

std::optional<int64_t> ActivationTape::take(int64_t rows) {
  if (rows > free_slots()) return std::nullopt;
  next_ += rows;
  return next_ - rows;
}

void ActivationTape::give_back(int64_t rows) {
  CHECK(rows >= 0 && rows <= next_, "{} slots given back, {} are taken", rows, next_);
  next_ -= rows;
}

}  // namespace cohort
