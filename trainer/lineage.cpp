#include "trainer/lineage.h"

#include <algorithm>
#include <ranges>

#include "core/check.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_layout.h"
#include "trainer/config_schema.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// One text for a folder, however it is written and whether it is there.
std::string full_name(const fs::path& folder) {
  const fs::path path = fs::weakly_canonical(folder);
  return (path.has_filename() ? path : path.parent_path()).string();
}

bool is_own(const fs::path& checkpoint, const Config& config) {
  return fs::path(full_name(checkpoint)).parent_path() == full_name(config.run_dir() / "checkpoints");
}

// Of a complete checkpoint whose manifest can be read.
std::optional<Json> readable_manifest(const fs::path& checkpoint) {
  try {
    return read_manifest(checkpoint);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

Json lineage_entry(const fs::path& checkpoint, const Config& config) {
  const Json manifest = read_manifest(checkpoint);
  const std::string where = (checkpoint / "manifest.json").string();
  Json changes = Json::array();
  for (const std::string& difference : identity_differences(config, get_string(manifest, "config", where))) changes.push_back(difference);
  return {{"path", full_name(checkpoint)}, {"manifest", manifest_hash(manifest)}, {"step", get_int(manifest, "step", where, 1, INT64_MAX)},
          {"own", is_own(checkpoint, config)}, {"changes", changes}};
}

std::optional<fs::path> newest_descendant(const fs::path& checkpoints, const fs::path& given) {
  const std::optional<Json> there = readable_manifest(given);
  const std::string key = there ? "manifest" : "path", value = there ? manifest_hash(*there) : full_name(given);
  for (const fs::path& checkpoint : complete_checkpoints(checkpoints) | std::views::reverse) {
    const std::optional<Json> manifest = readable_manifest(checkpoint);
    if (!manifest) continue;
    for (const Json& entry : manifest->value("lineage", Json::array()))
      if (entry.value(key, "") == value) return checkpoint;
  }
  return std::nullopt;
}

std::optional<int64_t> first_step_of(const Json& lineage) {
  if (!lineage.is_array()) return std::nullopt;
  int64_t first = 1;
  for (const Json& entry : lineage)
    if (!entry.value("own", false)) first = entry.value("step", int64_t{0}) + 1;
  return first;
}

std::string key_of_difference(const std::string& difference) { return difference.substr(0, difference.find(' ')); }

std::vector<std::string> refused_differences(const std::vector<std::string>& differences, const fs::path& checkpoint, const Config& config) {
  std::vector<std::string> refused = differences;
  if (is_own(checkpoint, config)) return refused;
  std::erase_if(refused, [&](const std::string& difference) {
    return std::ranges::find(config.run.allow_changes, key_of_difference(difference)) != config.run.allow_changes.end();
  });
  return refused;
}

const std::vector<std::string>& changeable_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> found;
    for (const KeyRow* key : keys_of("optim")) found.push_back(key->path());
    found.emplace_back("trainer.max_steps");
    return found;
  }();
  return keys;
}

}  // namespace cohort
