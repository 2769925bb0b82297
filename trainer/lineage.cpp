#include "trainer/lineage.h"

#include <algorithm>
#include <ranges>

#include "core/check.h"
#include "core/text.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_layout.h"
#include "trainer/config_schema.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// One text for a folder, however it is written and whether it is there.
std::string full_name(fs::path folder) {
  std::error_code none;
  for (int links = 0; links < 40 && !folder.has_filename(); ++links) folder = folder.parent_path();  // "a/b/"
  for (int links = 0; links < 40 && fs::is_symlink(folder, none) && !fs::exists(folder, none); ++links)  // of what is gone
    folder = folder.parent_path() / fs::read_symlink(folder);
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
  return {{"path", full_name(checkpoint)}, {"state", state_hash(manifest)}, {"step", get_int(manifest, "step", where, 1, INT64_MAX)},
          {"own", is_own(checkpoint, config)}, {"changes", changes}};
}

std::string state_hash(const Json& manifest) {
  Json state = manifest;
  for (const char* key : {"ranks", "build", "lineage"}) state.erase(key);
  return manifest_hash(state);
}

std::optional<fs::path> newest_descendant(const fs::path& checkpoints, const fs::path& given) {
  const std::optional<Json> there = readable_manifest(given);
  const std::string path = full_name(given), state = there ? state_hash(*there) : "", hash = there ? manifest_hash(*there) : "";
  const std::optional<int64_t> own_step = fs::path(path).parent_path() == full_name(checkpoints) ? step_of(path) : std::nullopt;
  const auto is_it = [&](const Json& entry) {
    if (there) return entry.contains("state") ? entry.value("state", "") == state : entry.value("manifest", "") == hash;
    return entry.value("path", "") == path || (own_step && entry.value("own", false) && entry.value("step", int64_t{0}) == *own_step);
  };
  for (const fs::path& checkpoint : complete_checkpoints(checkpoints) | std::views::reverse) {
    const std::optional<Json> manifest = readable_manifest(checkpoint);
    if (manifest && std::ranges::any_of(manifest->value("lineage", Json::array()), is_it)) return checkpoint;
  }
  return std::nullopt;
}

std::string lineage_text(const fs::path& checkpoint, bool begins_there, const Config& config) {
  const std::optional<Json> manifest = readable_manifest(checkpoint);
  if (!manifest) return "";
  Json lineage = manifest->value("lineage", Json::array());
  if (lineage.is_null()) lineage = Json::array();
  if (begins_there) lineage.push_back(lineage_entry(checkpoint, config));
  std::string text;
  for (const Json& entry : lineage) {
    text += fmt::format("# goes on from {}, step {}", printable(entry.value("path", "")), entry.value("step", int64_t{0}));
    for (const Json& change : entry.value("changes", Json::array())) text += fmt::format(", with another {}", printable(change.get<std::string>()));
    text += "\n";
  }
  return text;
}

std::optional<Json> origin_of(const fs::path& run, const Config& config) {
  for (const fs::path& checkpoint : complete_checkpoints(run / "checkpoints") | std::views::reverse) {
    const std::optional<Json> manifest = readable_manifest(checkpoint);
    if (!manifest) continue;
    std::optional<Json> origin;
    for (const Json& entry : manifest->value("lineage", Json::array()))
      if (!entry.value("own", false)) origin = entry;
    return origin;
  }
  const std::string& how = config.run.resume;
  if (how == "auto" || how == "never" || !readable_manifest(how)) return std::nullopt;
  return lineage_entry(how, config);
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
