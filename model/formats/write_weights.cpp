#include "model/formats/write_weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "core/check.h"
#include "core/files.h"
#include "core/json.h"
#include "model/formats/convert_numbers.h"
#include "model/formats/in_quotes.h"
#include "model/formats/safetensors_writer.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

uint64_t numbers_of(const WeightSource& weight) {
  uint64_t count = 1;
  for (const int64_t dim : weight.shape) count *= static_cast<uint64_t>(dim);
  return count;
}

void append(SafetensorsWriter& writer, const WeightSource& weight, StoredDType memory) {
  const StoredDType stored = weight.stored;
  constexpr uint64_t kPiece = uint64_t{1} << 18;
  std::vector<std::byte> piece(kPiece * stored_size(stored));
  const uint64_t all = numbers_of(weight);
  for (uint64_t begin = 0; begin < all; begin += kPiece) {
    const size_t count = std::min(kPiece, all - begin);
    const std::byte* in = weight.numbers(begin, count);
    const size_t bad = convert_numbers(memory, in, stored, piece.data(), count);
    if (bad < count)
      fail(ExitCode::kNonFinite, "{}: the number at {} is {}, which {} cannot hold{}",
           in_quotes(weight.name), begin + bad, stored_number(memory, in, bad), stored_name(stored),
           stored == StoredDType::f16 ? " (it ends at 65504; write float32 or bfloat16)" : "");
    writer.append({piece.data(), count * stored_size(stored)});
  }
}

std::string shard_name(size_t shard, size_t shards) {
  return shards == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards);
}

void write_index(const fs::path& dir, const std::map<std::string, std::string>& shard_of, uint64_t total_size) {
  Json map = Json::object();  // by name, as transformers sorts it
  for (const auto& [tensor, shard] : shard_of) map[tensor] = shard;
  const Json index = {{"metadata", {{"total_size", total_size}}}, {"weight_map", std::move(map)}};
  write_file_atomic(dir / "model.safetensors.index.json", dump_json(index, 2) + "\n");
}

}  // namespace

std::vector<size_t> plan_shards(std::span<const uint64_t> tensor_bytes, uint64_t max_shard_bytes) {
  std::vector<size_t> shards(1);
  uint64_t filled = 0;
  for (const uint64_t bytes : tensor_bytes) {
    if (shards.back() > 0 && (filled > max_shard_bytes || bytes > max_shard_bytes - filled)) {
      shards.push_back(0);
      filled = 0;
    }
    ++shards.back();
    filled += bytes;
  }
  return shards;
}

void write_weights(const fs::path& dir, std::span<const WeightSource> weights, StoredDType memory, uint64_t max_shard_bytes) {
  std::vector<uint64_t> bytes;
  for (const WeightSource& weight : weights) bytes.push_back(numbers_of(weight) * stored_size(weight.stored));
  const std::vector<size_t> shards = plan_shards(bytes, max_shard_bytes);

  std::map<std::string, std::string> shard_of;
  uint64_t total_size = 0;
  size_t next = 0;
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    const std::string name = shard_name(shard, shards.size());
    const std::span<const WeightSource> mine = weights.subspan(next, shards[shard]);
    std::vector<SafetensorsWriter::Entry> entries;
    for (const WeightSource& weight : mine) {
      entries.push_back({weight.name, safetensors_name(weight.stored), weight.shape});
      shard_of[weight.name] = name;
      total_size += bytes[next++];
    }
    SafetensorsWriter writer(dir / name, entries);
    for (const WeightSource& weight : mine) append(writer, weight, memory);
    writer.finish();
  }
  if (shards.size() > 1) write_index(dir, shard_of, total_size);
}

}  // namespace cohort
