#include "reward/code/tree_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reward/code/fd.h"

namespace cohort {
namespace {

// A whole small file of /proc; "" when the process is gone.
std::string read_proc(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  std::array<char, 4096> part;
  for (ssize_t got; file && (got = read(file.get(), part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<size_t>(got));
  return text;
}

std::vector<int64_t> numbers(std::string_view text) {
  std::vector<int64_t> result;
  for (size_t at = 0; at < text.size(); ++at) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
    if (error != std::errc()) continue;
    result.push_back(value);
    at = static_cast<size_t>(end - text.data());
  }
  return result;
}

}  // namespace

int64_t process_memory(pid_t process) {
  static const int64_t page = sysconf(_SC_PAGESIZE);
  // size, resident, of which files and shared, ...
  const std::vector<int64_t> pages = numbers(read_proc("/proc/" + std::to_string(process) + "/statm"));
  return pages.size() < 3 ? 0 : (pages[1] - pages[2]) * page;
}

int64_t tree_memory(pid_t root) {
  int64_t bytes = 0;
  std::vector<pid_t> waiting = {root};
  while (!waiting.empty()) {
    const std::string process = "/proc/" + std::to_string(waiting.back());
    bytes += process_memory(waiting.back());
    waiting.pop_back();
    const std::unique_ptr<DIR, int (*)(DIR*)> threads(opendir((process + "/task").c_str()), closedir);
    if (!threads) continue;
    while (const dirent* thread = readdir(threads.get())) {
      if (thread->d_name[0] == '.') continue;
      for (const int64_t child : numbers(read_proc(process + "/task/" + thread->d_name + "/children")))
        waiting.push_back(static_cast<pid_t>(child));
    }
  }
  return bytes;
}

bool can_see_trees() {
  const std::string id = std::to_string(getpid());
  return access(("/proc/" + id + "/task/" + id + "/children").c_str(), R_OK) == 0;
}

}  // namespace cohort
