// Processes that a program has started, for tests that end them one by one or all together.
#pragma once

#include <unistd.h>

#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/run_cohort.h"

namespace cohort {

inline std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

inline std::vector<pid_t> children_of(pid_t process) {
  const std::string task = "/proc/" + std::to_string(process);
  std::istringstream numbers(read_all(task + "/task/" + std::to_string(process) + "/children"));
  return {std::istream_iterator<pid_t>(numbers), {}};
}

// Whether a process has ended, heard of by its parent or not.
inline bool is_gone(pid_t process) {
  const std::string text = read_all("/proc/" + std::to_string(process) + "/stat");
  const size_t name = text.rfind(')');
  return name == std::string::npos || text.at(name + 2) == 'Z';
}

// A process and all that it has started, itself first.
inline std::vector<pid_t> family_of(pid_t process) {
  std::vector<pid_t> all = {process};
  for (size_t i = 0; i < all.size(); ++i)
    for (const pid_t child : children_of(all[i])) all.push_back(child);
  return all;
}

}  // namespace cohort
