#include "core/service_thread.h"

#include <sched.h>

#include <charconv>
#include <filesystem>
#include <string>
#include <system_error>

namespace cohort {

void leave_pinned_core() {
  cpu_set_t all, one;
  CPU_ZERO(&all);
  std::error_code ended;  // a thread, while its folder is looked at
  for (auto task = std::filesystem::directory_iterator("/proc/self/task", ended); !ended && task != std::filesystem::directory_iterator();
       task.increment(ended)) {
    const std::string name = task->path().filename().string();
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    if (thread > 0 && sched_getaffinity(thread, sizeof one, &one) == 0) CPU_OR(&all, &all, &one);
  }
  if (CPU_COUNT(&all) > 0) sched_setaffinity(0, sizeof all, &all);
}

}  // namespace cohort
