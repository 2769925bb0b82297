#include "trainer/compare_state.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"

namespace cohort {
namespace {

struct Part {
  Optimizer::Part part;
  const char* name;
};
constexpr std::array kParts = {Part{Optimizer::Part::master, "master"}, Part{Optimizer::Part::m, "m"},
                               Part{Optimizer::Part::v, "v"}};  // in the order of a shard's file
constexpr int64_t kPiece = int64_t{1} << 20;

std::string shown(float x) { return fmt::format("{} (0x{:08x})", x, std::bit_cast<uint32_t>(x)); }

std::optional<StateDifference> compare_shard(const std::filesystem::path& file, const std::string& hash, int shard,
                                             const ParamTable& table, const Optimizer& optimizer) {
  const MappedFile mapped(file);
  std::span<const std::byte> bytes = mapped.bytes();
  const uint64_t expected = kParts.size() * static_cast<uint64_t>(optimizer.shard_size()) * sizeof(float);
  CHECK_INPUT(bytes.size() == expected, "{}: {} bytes, expected {}: the file is cut short or of another model", file.string(),
              bytes.size(), expected);
  CHECK_INPUT(fingerprint(bytes) == hash, "{}: the content does not match the hash in manifest.json: the file is corrupted, and nothing can be compared with it",
              file.string());
  std::vector<float> stored, now;
  for (const Part& part : kParts) {
    for (int64_t begin = 0; begin < optimizer.shard_size(); begin += kPiece) {
      const auto count = static_cast<size_t>(std::min(kPiece, optimizer.shard_size() - begin));
      stored.resize(count), now.resize(count);
      std::memcpy(stored.data(), bytes.data(), count * sizeof(float));
      bytes = bytes.subspan(count * sizeof(float));
      optimizer.read_state(shard, part.part, begin, now);
      if (std::memcmp(stored.data(), now.data(), count * sizeof(float)) == 0) continue;
      size_t at = 0;
      while (std::bit_cast<uint32_t>(stored[at]) == std::bit_cast<uint32_t>(now[at])) ++at;
      const int64_t element = shard * optimizer.shard_size() + begin + static_cast<int64_t>(at);
      return StateDifference{fmt::format("{}, {} of {}", file.filename().string(), part.name, element_name(table, element)),
                             shown(stored[at]), shown(now[at])};
    }
  }
  return {};
}

// What the first rank that has something found.
std::optional<StateDifference> first_of_ranks(const std::optional<StateDifference>& mine, Comm& comm) {
  const std::string text = dump_json(mine ? Json{mine->where, mine->stored, mine->now} : Json(nullptr));
  std::optional<StateDifference> first;
  for (const auto& bytes : comm.all_gather(std::as_bytes(std::span(text)), "state comparison")) {
    const Json theirs = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "state comparison");
    if (first || theirs.is_null()) continue;
    first = {theirs[0].get<std::string>(), theirs[1].get<std::string>(), theirs[2].get<std::string>()};
  }
  return first;
}

}  // namespace

// Shards reach beyond the last parameter, where all is 0.
std::string element_name(const ParamTable& table, int64_t at) {
  for (const ParamEntry& entry : table.entries)
    if (entry.offset <= at && at < entry.offset + entry.size()) return fmt::format("{}[{}]", entry.name, at - entry.offset);
  return fmt::format("element {}", at);
}

std::optional<StateDifference> compare_state(const std::filesystem::path& checkpoint, const ParamTable& table,
                                             const Optimizer& optimizer, Comm& comm) {
  const std::filesystem::path file = checkpoint / "manifest.json";
  const Json manifest = parse_json(read_file(file), file.string());
  const Json shards = manifest.value("shards", Json());
  CHECK_INPUT(shards.is_array() && static_cast<int>(shards.size()) == optimizer.logical_ranks(),
              "{}: 'shards' must list {} files", file.string(), optimizer.logical_ranks());
  std::optional<StateDifference> mine;
  const LogicalRange owned = optimizer.owned_shards();
  for (int k = owned.first; k < owned.last && !mine; ++k)
    mine = compare_shard(checkpoint / fmt::format("shard_{:05}.bin", k), get_string(shards[static_cast<size_t>(k)], "hash", file.string()),
                         k, table, optimizer);
  return first_of_ranks(mine, comm);
}

}  // namespace cohort
