#include "reward/outside/process_tree.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "core/fd.h"

namespace cohort {
namespace {

struct Stat {
  char state = '?';
  pid_t parent = 0;
};

Stat stat_of(pid_t pid) {
  char path[64], text[512];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const Fd file(open(path, O_RDONLY | O_CLOEXEC));
  const ssize_t size = file ? read(file.get(), text, sizeof text - 1) : 0;
  if (size <= 0) return {};
  text[size] = '\0';
  const char* name_end = std::strrchr(text, ')');  // the name between brackets may hold anything
  Stat stat;
  if (name_end == nullptr || std::sscanf(name_end + 1, " %c %d", &stat.state, &stat.parent) != 2) return {};
  return stat;
}

}  // namespace

std::vector<pid_t> descendants(pid_t root, std::span<const pid_t> except) {
  std::unordered_map<pid_t, std::vector<pid_t>> children;
  DIR* folder = opendir("/proc");
  if (folder == nullptr) return {};
  while (const dirent* entry = readdir(folder)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0 || std::ranges::find(except, pid) != except.end()) continue;
    const Stat stat = stat_of(pid);
    if (stat.state != 'Z' && stat.state != 'X') children[stat.parent].push_back(pid);
  }
  closedir(folder);
  std::vector<pid_t> found = children[root];
  for (size_t i = 0; i < found.size(); ++i) {
    const auto below = children.find(found[i]);
    if (below != children.end()) found.insert(found.end(), below->second.begin(), below->second.end());
  }
  return found;
}

bool is_stopped(pid_t pid) {
  const char state = stat_of(pid).state;
  return state == 'T' || state == 't';
}

}  // namespace cohort
