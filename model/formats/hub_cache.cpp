#include "model/formats/hub_cache.h"

#include <algorithm>

namespace cohort {

namespace fs = std::filesystem;

bool is_hub_link(const fs::path& file) {
  std::error_code error;
  const fs::path folder = fs::canonical(file.has_parent_path() ? file.parent_path() : fs::path("."), error);
  if (error) return false;
  const fs::path target = fs::canonical(file, error);
  if (error || target.parent_path().filename() != "blobs") return false;
  const fs::path snapshots = target.parent_path().parent_path() / "snapshots";
  // snapshots/REVISION, or a folder in it: some repositories hold several models.
  const auto [rest, below] = std::mismatch(snapshots.begin(), snapshots.end(), folder.begin(), folder.end());
  return rest == snapshots.end() && below != folder.end();
}

}  // namespace cohort
