#include "core/free_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace cohort {
namespace {

namespace fs = std::filesystem;

std::optional<int64_t> number(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;  // "max": no limit
  return value;
}

std::optional<int64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  return std::getline(in, line) ? number(line) : std::nullopt;
}

// The number behind `key` at the start of a line.
std::optional<int64_t> number_of(const fs::path& file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) return number(std::string_view(line).substr(key.size()));
  return std::nullopt;
}

struct GroupFiles {
  const char *limit, *usage, *inactive;
};

// The least that is left in `group` and the groups above it, up to where the hierarchy is mounted. In a container the path
// may be the host's and not exist: its own limit then stands at the mount.
void limit_by_groups(int64_t& bytes, const fs::path& mount, fs::path group, const GroupFiles& files) {
  for (;; group = group.parent_path()) {
    const fs::path folder = mount / group.relative_path();
    const auto limit = number_in(folder / files.limit), used = number_in(folder / files.usage);
    if (limit && used) {
      const int64_t idle = number_of(folder / "memory.stat", files.inactive).value_or(0);
      bytes = std::min(bytes, std::max<int64_t>(0, *limit - std::max<int64_t>(0, *used - idle)));
    }
    if (group.relative_path().empty()) return;
  }
}

}  // namespace

std::optional<int64_t> free_memory(const fs::path& root) {
  const auto available = number_of(root / "proc/meminfo", "MemAvailable:");
  if (!available) return std::nullopt;
  int64_t bytes = *available * 1024;
  // A line is ID:CONTROLLERS:PATH; version 2 is "0::PATH".
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const std::string path = line.substr(second + 1);
    if (line.starts_with("0::")) {
      const GroupFiles files = {"memory.max", "memory.current", "inactive_file "};
      limit_by_groups(bytes, root / "sys/fs/cgroup", path, files);
    } else if (controllers.find(",memory,") != std::string::npos) {
      const GroupFiles files = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "};
      limit_by_groups(bytes, root / "sys/fs/cgroup/memory", path, files);
    }
  }
  return bytes;
}

}  // namespace cohort
