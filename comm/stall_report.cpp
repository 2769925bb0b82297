#include "comm/stall_report.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "core/code_names.h"

namespace cohort {
namespace {

constexpr std::chrono::milliseconds kPatience{500};

std::string contents(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

char state_of(const std::string& folder) {
  const std::string text = contents(folder + "/stat");
  const size_t name = text.rfind(')');  // it may hold anything
  return name != text.npos && name + 2 < text.size() ? text[name + 2] : '?';
}

std::string stall_report(const std::string& who, pid_t process, LastSeen& seen) {
  std::string text = fmt::format("cohort: stall report: {}{}process {} in {}\n", who, who.empty() ? "" : ", ", process, seen.where());
  for (const ThreadStack& stack : seen.stacks().ask(process, kPatience)) {
    const std::string folder = fmt::format("/proc/{}/task/{}", process, stack.thread);
    text += fmt::format("  thread {}, state {}\n", stack.thread, state_of(folder));
    for (const std::string& name : code_names(process, stack.addresses)) text += fmt::format("    {}\n", name);
    if (!stack.asked) text += fmt::format("    not asked: more threads than the report holds ({})\n", ThreadStacks::kThreads);
    if (!stack.asked || !stack.addresses.empty()) continue;
    const std::string place = contents(folder + "/wchan");
    text += fmt::format("    does not answer; {}\n", place.empty() || place == "0" ? "not in the kernel" : "in the kernel's " + place);
  }
  return text;
}

}  // namespace cohort
