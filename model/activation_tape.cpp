#include "model/activation_tape.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "model/device.h"

namespace cohort {
namespace {

void plan_layer(LayerActivations& a, const ModelConfig& c, DType act, int64_t slots, TapeRows kept, const PlanPiece& plan) {
  plan(a.x_in, "x_in", DType::f32, slots, c.hidden_size);
  if (kept == TapeRows::inputs) return;
  plan(a.x_mid, "x_mid", DType::f32, slots, c.hidden_size);
  plan(a.lse, "lse", DType::f32, slots, c.num_heads);
  plan_block(a.block, c, act, slots, BlockUse::tape, plan);
}

}  // namespace

ActivationTape::ActivationTape(const ModelConfig& config, DType act, int64_t slots, TapeRows kept, Device device)
    : slots_(slots), kept_(kept), layers_(static_cast<size_t>(config.num_layers)) {
  std::vector<std::pair<Tensor*, size_t>> planned;
  const PlanPiece plan = [&](Tensor& tensor, const char* name, DType dtype, int64_t rows, int64_t cols) {
    planned.emplace_back(&tensor, arena_.plan(name, dtype, {rows, cols}));
  };
  for (LayerActivations& layer : layers_) plan_layer(layer, config, act, slots, kept, plan);
  plan(x_out_, "x_out", DType::f32, slots, config.hidden_size);
  arena_.commit(Arena::Pages::lazy, device);
  for (auto& [tensor, index] : planned) *tensor = arena_[index];
}

int64_t ActivationTape::slot_bytes(const ModelConfig& config, DType act, TapeRows kept) {
  int64_t bytes = 0;
  const PlanPiece add = [&](Tensor&, const char*, DType dtype, int64_t rows, int64_t cols) {
    bytes += rows * cols * static_cast<int64_t>(dtype_size(dtype));
  };
  LayerActivations layer;
  plan_layer(layer, config, act, 1, kept, add);
  return config.num_layers * bytes + config.hidden_size * static_cast<int64_t>(dtype_size(DType::f32));
}

void ActivationTape::begin(int64_t version) {
  version_ = version;
  next_ = 0;
}

InputsInGradient::InputsInGradient(const ParamTable& table, int64_t rows, int64_t hidden_size) : input(rows * hidden_size) {
  if (table.layers.size() < 2 || input == 0) return;
  const auto size = [](const LayerParams& layer) { return layer.span.end - layer.span.begin; };
  each = size(std::ranges::min(table.layers, {}, size)) / input;
}

void ActivationTape::lie_in_gradient(Tensor flat, const ParamTable& table) {
  CHECK(kept_ == TapeRows::inputs && next_ == 0 && flat.dtype == DType::f32 && flat.size() == table.size,
        "a tape with {} rows in a gradient of {}, the model has {}{}", next_, flat.size(), table.size,
        kept_ == TapeRows::all ? "; it holds more than layers' inputs" : "");
  leave_gradient();
  const InputsInGradient place(table, slots_, x_out_.cols());
  if (place.each == 0) return;
  gradient_ = flat.f32();
  lenders_ = place.lenders(std::ssize(layers_));
  for (size_t l = 1; l < layers_.size(); ++l) {
    own_inputs_.push_back(layers_[l].x_in);
    layers_[l].x_in.data = place.at(flat, table, static_cast<int64_t>(l));
  }
}

void ActivationTape::leave_gradient() {
  if (gradient_ == nullptr) return;
  for (size_t l = 1; l < layers_.size(); ++l) {
    Tensor& x_in = layers_[l].x_in;
    const Tensor own = own_inputs_[l - 1];
    std::memcpy(own.data, x_in.data, x_in.slice_rows(0, next_).bytes());
    x_in = own;
  }
  own_inputs_.clear();
  gradient_ = nullptr;
  lenders_ = 0;
}

std::optional<int64_t> ActivationTape::take(int64_t rows) {
  if (rows > free_slots()) return std::nullopt;
  next_ += rows;
  return next_ - rows;
}

void ActivationTape::set_aside(int64_t rows) {
  CHECK(rows >= 0 && rows <= slots_ - next_, "{} of {} slots set aside, {} are taken", rows, slots_, next_);
  aside_ = rows;
}

void ActivationTape::move_from_aside(int64_t to, int64_t rows, const Exec& ex) const {
  CHECK(ex.gpu != nullptr && rows <= aside_ && to + rows <= first_aside(), "{} rows of {} set aside move to slot {} of {}", rows, aside_, to, slots_);
  std::vector<gpu::Copied> copies;
  const auto add = [&](Tensor piece) {
    if (!piece) return;
    const Tensor from = piece.slice_rows(first_aside(), rows);
    copies.push_back({piece.slice_rows(to, rows).data, from.data, from.bytes()});
  };
  for (const LayerActivations& layer : layers_) {
    add(layer.x_in), add(layer.x_mid), add(layer.lse);
    for_each_piece(layer.block, add);
  }
  add(x_out_);
  gpu::copy_all(copies, *ex.gpu);
}

void ActivationTape::give_back(int64_t rows) {
  CHECK(rows >= 0 && rows <= next_, "{} slots given back, {} are taken", rows, next_);
  next_ -= rows;
}

}  // namespace cohort
