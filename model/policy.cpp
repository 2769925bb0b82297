#include "model/policy.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/hash.h"
#include "core/rng.h"
#include "model/device.h"
#include "model/ops/gpu.h"
#include "model/ops/merge.h"
#include "model/rope_scaling.h"

namespace cohort {
namespace {

// Normal numbers of a parameter: each a function of (seed, parameter index, place), four words of Philox for two numbers.
void fill_normal(Tensor weight, float deviation, uint64_t seed, uint32_t parameter) {
  const int64_t count = weight.size();
  Random random(seed, Stream::kInit, parameter);
  for (int64_t i = 0; i < count; ++i) {
    const float value = deviation * random.normal();
    if (weight.dtype == DType::f32) {
      weight.f32()[i] = value;
    } else {
      weight.b16()[i] = to_bf16(value);
    }
  }
}

void fill(Tensor weight, float value) {
  for (int64_t i = 0; i < weight.size(); ++i) {
    if (weight.dtype == DType::f32) {
      weight.f32()[i] = value;
    } else {
      weight.b16()[i] = to_bf16(value);
    }
  }
}

void make_pieces(Policy& policy) {
  const ModelConfig& c = policy.config;
  const ParamTable& table = policy.table;
  const int64_t C = c.hidden_size, F = c.intermediate_size, q = c.num_heads * c.head_size,
                kv = c.num_kv_heads * c.head_size;
  std::vector<WeightPiece>& pieces = policy.pieces;
  const auto packed = [&](PackedWeight& weight, int64_t offset, int64_t n, int64_t k) {
    weight.n = n, weight.k = k, weight.dtype = policy.dtype;
    if (policy.device == Device::cuda) {
      weight.flat = policy.weight(offset, n, k);
    } else {
      pieces.push_back({&weight, offset, offset + n * k, /*decay=*/true});
    }
  };
  policy.packed_layers.resize(static_cast<size_t>(c.num_layers));
  for (int64_t layer = 0; layer < c.num_layers; ++layer) {
    const LayerParams& at = table.layers[static_cast<size_t>(layer)];
    Policy::PackedLayer& weights = policy.packed_layers[static_cast<size_t>(layer)];
    packed(weights.qkv, at.qkv, q + 2 * kv, C), packed(weights.out, at.out, C, q);
    packed(weights.gate_up, at.gate_up, 2 * F, C), packed(weights.down, at.down, C, F);
  }
  packed(policy.packed_head, table.head, table.head_rows, c.hidden_size);
  const size_t matrices = pieces.size();
  std::vector<PackedWeight*> weights;
  for (const WeightPiece& piece : pieces) weights.push_back(piece.packed);
  if (policy.device == Device::cpu) reserve_packed(weights);
  for (const ParamEntry& entry : table.entries) {
    const auto holds = [&](const WeightPiece& piece) { return entry.offset >= piece.begin && entry.offset < piece.end; };
    if (std::none_of(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(matrices), holds))
      pieces.push_back({nullptr, entry.offset, entry.offset + entry.size(), entry.decay()});
  }
  std::ranges::sort(pieces, {}, &WeightPiece::begin);
}

// body(piece, from, part): the elements of `flat`, from `begin` of the table on, that lie in a piece, from `from` on.
template <typename Body>
void for_pieces(const WeightStore& store, int64_t begin, Tensor flat, const Body& body) {
  const int64_t end = begin + flat.size();
  CHECK(flat.dtype == store.dtype && begin >= 0 && end <= store.table.size, "elements [{}, {}) of {} of {} in {}", begin,
        end, dtype_name(flat.dtype), store.table.size, dtype_name(store.dtype));
  for (const WeightPiece& piece : store.pieces) {
    const int64_t from = std::max(begin, piece.begin), to = std::min(end, piece.end);
    if (from < to) body(piece, from, WeightStore::view({flat.data, flat.dtype, {flat.size()}}, from - begin, 1, to - from));
  }
}

}  // namespace

Tensor WeightStore::view(Tensor flat, int64_t offset, int64_t n, int64_t k) {
  CHECK(offset >= 0 && offset + n * k <= flat.size(), "[{}, {} + {} x {}) of {} parameters", offset, offset, n, k, flat.size());
  return {static_cast<char*>(flat.data) + static_cast<size_t>(offset) * dtype_size(flat.dtype), flat.dtype, {n, k},
          flat.device};
}

Tensor WeightStore::weight(int64_t offset, int64_t n, int64_t k) const { return view(weights, offset, n, k); }

void require_language_model(const ModelConfig& config) {
  CHECK_INPUT(!config.is_classifier(), "{} is a reward model: it scores texts and cannot write any", config.architecture);
}

std::unique_ptr<Policy> make_policy(const ModelConfig& config, DType dtype, int64_t shards, PolicyUse use,
                                    Device device) {
  auto policy = std::make_unique<Policy>();
  policy->use = use;
  policy->device = device;
  policy->config = config;
  policy->dtype = dtype;
  policy->table = make_param_table(config, shards);
  const size_t weights = policy->arena.plan("weights", dtype, {policy->table.size});
  policy->arena.commit(Arena::Pages::lazy, device);
  policy->weights = policy->arena[weights];
  policy->rope_frequencies = rope_frequencies(config.rope, config.head_size);
  policy->local_rope_frequencies = rope_frequencies(config.local_rope, config.head_size);
  make_pieces(*policy);
  return policy;
}

void set_weights(WeightStore& store, int64_t begin, Tensor flat, const Exec& ex) {
  for_pieces(store, begin, flat, [&](const WeightPiece& piece, int64_t from, Tensor part) {
    if (piece.packed) return pack_span(*piece.packed, from - piece.begin, part, ex);
    copy(store.weight(from, 1, part.size()), part);
  });
}

void copy_weights(const WeightStore& store, int64_t begin, Tensor flat) {
  std::memset(flat.data, 0, flat.bytes());
  for_pieces(store, begin, flat, [&](const WeightPiece& piece, int64_t from, Tensor part) {
    if (piece.packed) return unpack_span(part, *piece.packed, from - piece.begin);
    copy(part, store.weight(from, 1, part.size()));
  });
}

void check_products(const Policy& policy, const Exec& ex) {
  if (ex.gpu == nullptr) return;
  const Policy::PackedLayer& layer = policy.packed_layers.front();  // the others have its shapes
  const DType act = policy.dtype, f32 = DType::f32;
  gpu::check_rows_alike(layer.qkv, f32, f32, *ex.gpu);
  gpu::check_rows_alike(layer.out, f32, act, *ex.gpu);
  gpu::check_rows_alike(layer.gate_up, act, f32, *ex.gpu);
  gpu::check_rows_alike(layer.down, f32, act, *ex.gpu);
  if (!policy.config.is_classifier()) gpu::check_head_rows_alike(policy.packed_head, *ex.gpu);
}

std::string weights_fingerprint(const WeightStore& store) {
  constexpr int64_t kSome = int64_t{1} << 20;
  std::vector<std::byte> space(static_cast<size_t>(kSome) * dtype_size(store.dtype));
  Fingerprint fingerprint;
  for (int64_t begin = 0; begin < store.table.size; begin += kSome) {
    const Tensor some(space.data(), store.dtype, {std::min(kSome, store.table.size - begin)});
    copy_weights(store, begin, some);
    fingerprint.add({space.data(), some.bytes()});
  }
  return fingerprint.text();
}

std::unique_ptr<Policy> share_policy(const Policy& policy, const std::function<bool(const PackedWeight&)>& own) {
  CHECK(policy.device == Device::cpu, "a policy of a GPU shared in part");
  auto shared = std::make_unique<Policy>();
  shared->device = policy.device, shared->dtype = policy.dtype, shared->table = policy.table;
  shared->weights = policy.weights, shared->pieces = policy.pieces;
  shared->config = policy.config, shared->use = PolicyUse::inference;
  shared->rope_frequencies = policy.rope_frequencies, shared->local_rope_frequencies = policy.local_rope_frequencies;
  shared->packed_layers.resize(policy.packed_layers.size());
  std::vector<PackedWeight*> copies;
  std::vector<const PackedWeight*> sources;
  const auto take = [&](PackedWeight& to, const PackedWeight& from) {
    const auto piece = std::ranges::find(shared->pieces, &from, [](const WeightPiece& p) -> const PackedWeight* { return p.packed; });
    CHECK(piece != shared->pieces.end(), "a packed matrix that is no piece of its policy");
    piece->packed = &to;
    if (!own(from)) return share_packed(to, from);
    to.n = from.n, to.k = from.k, to.dtype = from.dtype;
    copies.push_back(&to), sources.push_back(&from);
  };
  for (size_t layer = 0; layer < policy.packed_layers.size(); ++layer)
    for (const LayerMatrix matrix : kLayerMatrices) take(shared->packed_layers[layer].*matrix, policy.packed_layers[layer].*matrix);
  take(shared->packed_head, policy.packed_head);
  reserve_packed(copies);
  for (size_t i = 0; i < copies.size(); ++i) copy_packed(*copies[i], *sources[i]);
  return shared;
}

void init_weights(Policy& policy, uint64_t seed, const Exec& ex) {
  const float deviation = std::sqrt(2.0f / (5.0f * static_cast<float>(policy.config.hidden_size)));
  std::vector<std::byte> space;
  for (size_t i = 0; i < policy.table.entries.size(); ++i) {
    const ParamEntry& entry = policy.table.entries[i];
    space.resize(static_cast<size_t>(entry.size()) * dtype_size(policy.dtype));
    const Tensor weight(space.data(), policy.dtype, {entry.size()});
    if (entry.kind == ParamKind::matrix) {
      fill_normal(weight, deviation, seed, static_cast<uint32_t>(i));
    } else {
      fill(weight, entry.kind == ParamKind::gain && !policy.config.unit_offset_norm ? 1.0f : 0.0f);
    }
    set_weights(policy, entry.offset, weight, ex);
  }
}

}  // namespace cohort
