#include "reward/code/tree_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "reward/code/wire.h"

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

std::optional<int64_t> tree_memory(pid_t root) {
  // Of a dead process that nobody waited for the file is still there.
  if (access(("/proc/" + std::to_string(root) + "/statm").c_str(), R_OK) != 0) return std::nullopt;
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

std::string unseen_trees() {
  const std::string id = std::to_string(getpid());
  if (access(("/proc/" + id + "/task/" + id + "/children").c_str(), R_OK) != 0)
    return "the kernel does not list children";
  auto [reading, writing] = make_pipe();
  const pid_t child = fork();
  if (child < 0) return "no process can be made";
  if (child == 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) _exit(1);
    if (write(writing.get(), "r", 1) != 1) _exit(1);
    while (true) pause();
  }
  writing.reset();
  char byte;
  const bool ready = read(reading.get(), &byte, 1) == 1;
  const bool seen = ready && tree_memory(child).value_or(0) > 0;
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return seen ? "" : "/proc hides processes";
}

}  // namespace cohort
