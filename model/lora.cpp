#include "model/lora.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/rng.h"
#include "model/device.h"

namespace cohort {

float LoraConfig::scale() const {
  const auto r = static_cast<double>(rank);
  return static_cast<float>(alpha / (rslora ? std::sqrt(r) : r));
}

std::vector<std::string> lora_modules(const std::vector<std::string>& names) {
  CHECK_USAGE(!names.empty(), "no target modules; allowed: {}, or all-linear", fmt::join(kLoraModules, ", "));
  for (const std::string& name : names)
    CHECK_USAGE(name == "all-linear" || std::ranges::find(kLoraModules, name) != kLoraModules.end(),
                "target module '{}'; allowed: {}, or all-linear", name, fmt::join(kLoraModules, ", "));
  const bool all = std::ranges::find(names, "all-linear") != names.end();
  std::vector<std::string> modules;
  for (const char* module : kLoraModules)
    if (all || std::ranges::find(names, module) != names.end()) modules.emplace_back(module);
  return modules;
}

namespace {

// Offset, n and k of each matrix of a layer, in the order of kLayerMatrices.
struct Place {
  int64_t offset, n, k;
};
std::array<Place, kLayerMatrices.size()> places_of(const ModelConfig& c, const LayerParams& at) {
  const int64_t C = c.hidden_size, F = c.intermediate_size, q = c.num_heads * c.head_size, kv = c.num_kv_heads * c.head_size;
  return {{{at.qkv, q + 2 * kv, C}, {at.out, C, q}, {at.gate_up, 2 * F, C}, {at.down, C, F}}};
}

// "q_proj" of "model.layers.0.self_attn.q_proj.weight", whose module is all but ".weight".
std::string module_of(const ParamEntry& entry) { return entry.name.substr(0, entry.name.rfind('.')); }
std::string last_name(const std::string& module) { return module.substr(module.rfind('.') + 1); }

}  // namespace

LoraLayout make_lora_layout(const ModelConfig& model, const ParamTable& weights, const LoraConfig& config, int64_t shards) {
  CHECK(config.rank > 0 && shards > 0, "a LoRA of rank {}, {} shards", config.rank, shards);
  LoraLayout layout;
  ParamTable& table = layout.table;
  constexpr int64_t kAlign = 16;  // as make_param_table
  const auto add = [&](std::string name, int64_t n, int64_t k) {
    const int64_t offset = table.size;
    table.entries.push_back({std::move(name), {n, k}, offset, ParamKind::matrix});
    table.count += n * k;
    table.size += (n * k + kAlign - 1) / kAlign * kAlign;
    return offset;
  };
  for (const LayerParams& layer : weights.layers) {
    auto& matrices = layout.layers.emplace_back();
    const auto places = places_of(model, layer);
    for (size_t m = 0; m < matrices.size(); ++m) {
      const Place& place = places[m];
      LoraMatrix& matrix = matrices[m];
      matrix.n = place.n, matrix.k = place.k;
      for (const ParamEntry& entry : weights.entries) {
        if (entry.offset < place.offset || entry.offset >= place.offset + place.n * place.k) continue;
        const std::string module = module_of(entry);
        if (std::ranges::find(config.target_modules, last_name(module)) == config.target_modules.end()) continue;
        matrix.targets.push_back({module, (entry.offset - place.offset) / place.k, entry.shape[0], 0, 0});
      }
      for (LoraTarget& target : matrix.targets)
        target.a = add("base_model.model." + target.module + ".lora_A.weight", config.rank, place.k);
      for (LoraTarget& target : matrix.targets)
        target.b = add("base_model.model." + target.module + ".lora_B.weight", target.rows, config.rank);
      if (matrix.targets.empty()) continue;
      layout.merged += place.n * place.k;
      layout.largest_n = std::max(layout.largest_n, place.n);
      layout.most_columns = std::max(layout.most_columns, matrix.columns(config.rank));
    }
  }
  const int64_t step = shards * kAlign;
  table.size = (table.size + step - 1) / step * step;
  return layout;
}

std::vector<LowRankTerm> lora_terms(const LoraMatrix& matrix, const LoraConfig& config, const float* params) {
  std::vector<LowRankTerm> terms;
  for (const LoraTarget& target : matrix.targets)
    terms.push_back({target.row, target.rows, config.rank, params + target.a, params + target.b});
  return terms;
}

namespace {

WeightStore make_params(const ParamTable& table, uint64_t seed) {
  WeightStore params;
  params.dtype = DType::f32, params.table = table;
  params.arena = Arena("adapter");
  const size_t all = params.arena.plan("A and B", DType::f32, {table.size});
  params.arena.commit();
  params.weights = params.arena[all];
  constexpr uint32_t kAdapter = uint32_t{1} << 31;  // other draws than those of a model's own parameters
  for (size_t i = 0; i < table.entries.size(); ++i) {
    const ParamEntry& entry = table.entries[i];
    params.pieces.push_back({nullptr, entry.offset, entry.offset + entry.size(), entry.decay()});
    if (!entry.name.ends_with(".lora_A.weight")) continue;
    const float bound = 1.0f / std::sqrt(static_cast<float>(entry.shape[1]));
    Random random(seed, Stream::kInit, kAdapter | static_cast<uint32_t>(i));
    float* a = params.weights.f32() + entry.offset;
    for (int64_t j = 0; j < entry.size(); ++j) a[j] = bound * (2.0f * random.uniform() - 1.0f);
  }
  return params;
}

// scale A of all targets (columns, k), and scale B, each in its rows and columns of (n, columns).
void pack_factors(LoraAdapter::Factors& to, const LoraMatrix& matrix, const LoraConfig& config, const float* params, DType act,
                  const Exec& ex) {
  const int64_t columns = matrix.columns(config.rank), most = std::max(matrix.k, matrix.n) * columns;
  const float scale = config.scale();
  std::vector<std::byte> space(static_cast<size_t>(most) * dtype_size(act));
  const auto set = [&](int64_t at, float value) {
    if (act == DType::bf16) {
      reinterpret_cast<bf16*>(space.data())[at] = to_bf16(value);
    } else {
      reinterpret_cast<float*>(space.data())[at] = value;
    }
  };
  const float* a = params + matrix.targets.front().a;
  for (int64_t i = 0; i < columns * matrix.k; ++i) set(i, scale * a[i]);
  pack_weight(to.a, {space.data(), act, {columns, matrix.k}}, ex);
  std::ranges::fill(space, std::byte{0});
  for (size_t t = 0; t < matrix.targets.size(); ++t) {
    const LoraTarget& target = matrix.targets[t];
    for (int64_t row = 0; row < target.rows; ++row)
      for (int64_t j = 0; j < config.rank; ++j)
        set((target.row + row) * columns + static_cast<int64_t>(t) * config.rank + j, scale * params[target.b + row * config.rank + j]);
  }
  pack_weight(to.b, {space.data(), act, {matrix.n, columns}}, ex);
}

}  // namespace

void add_lora(Policy& policy, const LoraConfig& config, int64_t shards, uint64_t seed, const Exec& ex) {
  CHECK(policy.device == Device::cpu && policy.lora == nullptr, "LoRA on a GPU, or twice");
  const auto lora = std::make_shared<LoraAdapter>();
  lora->config = config;
  lora->layout = make_lora_layout(policy.config, policy.table, config, shards);
  lora->params = make_params(lora->layout.table, seed);
  lora->factors.resize(lora->layout.layers.size());
  lora->base = share_policy(policy, [&](const PackedWeight& weight) {
    for (size_t layer = 0; layer < lora->layout.layers.size(); ++layer)
      for (size_t m = 0; m < kLayerMatrices.size(); ++m)
        if (&(policy.packed_layers[layer].*kLayerMatrices[m]) == &weight) return !lora->layout.layers[layer][m].targets.empty();
    return false;
  });
  policy.lora = lora;
  merge_lora(policy, ex);
}

void merge_lora(Policy& policy, const Exec& ex) {
  LoraAdapter& lora = *policy.lora;
  const float* params = lora.params.weights.f32();
  for (size_t layer = 0; layer < lora.layout.layers.size(); ++layer) {
    for (size_t m = 0; m < kLayerMatrices.size(); ++m) {
      const LoraMatrix& matrix = lora.layout.layers[layer][m];
      if (matrix.targets.empty()) continue;
      merge_low_rank(policy.packed_layers[layer].*kLayerMatrices[m], lora.base->packed_layers[layer].*kLayerMatrices[m],
                     lora_terms(matrix, lora.config, params), lora.config.scale(), ex);
      pack_factors(lora.factors[layer][m], matrix, lora.config, params, policy.dtype, ex);
    }
  }
}

size_t LoraAdapter::bytes() const {
  const size_t act = dtype_size(base->dtype);
  size_t bytes = params.arena.bytes() + static_cast<size_t>(layout.merged) * act;
  for (const auto& matrices : layout.layers)
    for (const LoraMatrix& matrix : matrices)
      bytes += static_cast<size_t>(matrix.columns(config.rank) * (matrix.n + matrix.k)) * act;
  return bytes;
}

void plan_lora_scratch(LoraScratch& scratch, const Policy& policy, int64_t rows, const PlanPiece& plan) {
  const LoraLayout& layout = policy.lora->layout;
  const ModelConfig& c = policy.config;
  plan(scratch.down, "adapter rows", policy.dtype, rows, layout.most_columns);
  plan(scratch.up, "adapter rows", policy.dtype, rows, layout.most_columns);
  plan(scratch.blocks, "adapter gradient", DType::f32, layout.largest_n, layout.most_columns);
  plan(scratch.vector, "frozen gradient", DType::f32, 1, std::max(c.hidden_size, c.head_size));
}

void lora_backward(const LoraAdapter& lora, int64_t layer, size_t m, Tensor flat, Tensor dy, Tensor x, const LoraScratch& scratch,
                   std::span<const RowPart> parts, const Exec& ex) {
  const LoraMatrix& matrix = lora.layout.layers[static_cast<size_t>(layer)][m];
  if (matrix.targets.empty()) return;
  const LoraAdapter::Factors& factors = lora.factors[static_cast<size_t>(layer)][m];
  const int64_t rank = lora.config.rank, columns = matrix.columns(rank);
  const Tensor down(scratch.down.data, dy.dtype, {dy.rows(), columns}), up(scratch.up.data, dy.dtype, {dy.rows(), columns});
  matmul_backward_input(down, dy, factors.b, ex);
  matmul_backward_weight(WeightStore::view(flat, matrix.targets.front().a, columns, matrix.k), down, x, ex, parts);
  matmul(up, x, factors.a, ex);
  if (matrix.targets.size() == 1 && matrix.targets[0].rows == matrix.n)
    return matmul_backward_weight(WeightStore::view(flat, matrix.targets[0].b, matrix.n, rank), dy, up, ex, parts);
  const Tensor blocks(scratch.blocks.data, DType::f32, {matrix.n, columns});
  matmul_backward_weight(blocks, dy, up, ex, parts);
  for (size_t t = 0; t < matrix.targets.size(); ++t) {
    const LoraTarget& target = matrix.targets[t];
    for (int64_t row = 0; row < target.rows; ++row)
      std::memcpy(flat.f32() + target.b + row * rank, blocks.f32() + (target.row + row) * columns + static_cast<int64_t>(t) * rank,
                  static_cast<size_t>(rank) * sizeof(float));
  }
}

}  // namespace cohort
