#include "trainer/checkpoint_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace cohort {

namespace fs = std::filesystem;

fs::path shard_file(const fs::path& folder, int shard) { return folder / fmt::format("shard_{:05}.bin", shard); }

std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  constexpr std::string_view kPrefix = "step_";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step <= 0) return std::nullopt;
  return step;
}

namespace {

std::vector<fs::path> steps_in(const fs::path& checkpoints, bool complete) {
  std::vector<fs::path> found;
  if (!fs::is_directory(checkpoints)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints))
    if (entry.is_directory() && step_of(entry.path()) && fs::exists(entry.path() / "manifest.json") == complete)
      found.push_back(entry.path());
  std::ranges::sort(found, {}, [](const fs::path& path) { return *step_of(path); });
  return found;
}

}  // namespace

std::vector<fs::path> complete_checkpoints(const fs::path& checkpoints) { return steps_in(checkpoints, true); }

std::vector<fs::path> incomplete_checkpoints(const fs::path& checkpoints) { return steps_in(checkpoints, false); }

}  // namespace cohort
