// Writes the weights of a model folder: model.safetensors, or shards behind an index when they are large.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/formats/stored_dtype.h"

namespace cohort {

inline constexpr uint64_t kMaxShardBytes = 5'000'000'000;  // as Hugging Face's hub asks for: a download that can be resumed

// A tensor in memory, and the dtype that its file gives it.
struct WeightSource {
  std::string name;
  std::vector<int64_t> shape;
  // Its numbers [begin, begin + count), as they are in memory; valid until the next call.
  std::function<const std::byte*(uint64_t begin, uint64_t count)> numbers;
  StoredDType stored = StoredDType::f32;
};

// The weights of one model, cut into shards in their order: a shard is closed when the next tensor would make its data
// larger than `max_shard_bytes`; a larger tensor has a shard of its own. Each shard: how many tensors. At least one.
std::vector<size_t> plan_shards(std::span<const uint64_t> tensor_bytes, uint64_t max_shard_bytes);

// Writes `weights`, whose numbers in memory are `memory` (f32 or bf16), in the order given: model.safetensors, or
// model-0000X-of-0000Y.safetensors with model.safetensors.index.json (metadata.total_size, weight_map), written last. Bytes
// depend on the arguments alone. A number that its stored dtype cannot hold, or that is not finite: exit code 5, with its tensor and
// a remedy. Short of space: exit code 6. `dir` exists and has no weights; it is left incomplete when this throws.
void write_weights(const std::filesystem::path& dir, std::span<const WeightSource> weights, StoredDType memory,
                   uint64_t max_shard_bytes = kMaxShardBytes);

}  // namespace cohort
