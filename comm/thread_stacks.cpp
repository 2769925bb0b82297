#include "comm/thread_stacks.h"

#include <execinfo.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>
#include <thread>

#include "core/check.h"

namespace cohort {
namespace {

// A handler gets no context argument.
std::atomic<ThreadStacks*> answering{nullptr};
static_assert(std::atomic<ThreadStacks*>::is_always_lock_free && std::atomic<uint64_t>::is_always_lock_free);

// write, the handler, and what the kernel has called it through.
constexpr int kOwnFrames = 3;

std::vector<pid_t> threads_of(pid_t process) {
  std::vector<pid_t> threads;
  std::error_code ended;
  const std::filesystem::path folder = "/proc/" + std::to_string(process) + "/task";
  for (auto task = std::filesystem::directory_iterator(folder, ended); !ended && task != std::filesystem::directory_iterator();
       task.increment(ended)) {
    const std::string name = task->path().filename().string();
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    threads.push_back(thread);
  }
  std::ranges::sort(threads, {}, [&](pid_t thread) { return std::pair(thread != process, thread); });
  return threads;
}

}  // namespace

void ThreadStacks::on_signal(int) {
  const int error = errno;
  if (ThreadStacks* const stacks = answering.load()) stacks->write();
  errno = error;
}

// In a signal's handler: nothing is allocated here. Others send that signal, too: a thread without a slot, or whose stack is
// written in this round, has nothing to do.
[[gnu::noinline]] void ThreadStacks::write() {
  const uint32_t round = round_.load();
  const pid_t thread = static_cast<pid_t>(syscall(SYS_gettid));
  size_t at = 0;
  while (at < kThreads && slots_[at].thread != thread) ++at;
  if (at == kThreads || slots_[at].round == round) return;
  void* frames[kFrames + kOwnFrames];
  const int found = backtrace(frames, static_cast<int>(std::size(frames)));
  Slot& slot = slots_[at];
  uint32_t count = 0;
  for (int i = kOwnFrames; i < found; ++i) slot.addresses[count++].store(reinterpret_cast<uint64_t>(frames[i]), std::memory_order_relaxed);
  slot.count = count;
  slot.round = round;
}

void ThreadStacks::answer() {
  void* frame;
  backtrace(&frame, 1);  // loads the unwinder, which a handler may not
  answering = this;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  CHECK(sigaction(kSignal, &action, nullptr) == 0, "no handler for signal {}", kSignal);
}

std::vector<ThreadStack> ThreadStacks::ask(pid_t process, std::chrono::milliseconds most) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + most;
  std::vector<ThreadStack> stacks;
  for (const pid_t thread : threads_of(process))
    if (thread != static_cast<pid_t>(syscall(SYS_gettid))) stacks.push_back({.thread = thread, .addresses = {}, .asked = stacks.size() < kThreads});
  for (size_t i = 0; i < kThreads; ++i) slots_[i].thread = i < stacks.size() ? stacks[i].thread : 0;
  const uint32_t round = ++round_;
  size_t asked = 0;
  for (const ThreadStack& stack : stacks) asked += stack.asked && syscall(SYS_tgkill, process, stack.thread, kSignal) == 0;
  const auto answered = [&] {
    return static_cast<size_t>(std::ranges::count_if(slots_, [&](const Slot& slot) { return slot.round == round; }));
  };
  while (answered() < asked && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  for (size_t i = 0; i < std::min(stacks.size(), kThreads); ++i) {
    const Slot& slot = slots_[i];
    if (slot.round != round) continue;
    for (uint32_t frame = 0; frame < std::min<uint32_t>(slot.count, kFrames); ++frame) stacks[i].addresses.push_back(slot.addresses[frame]);
  }
  return stacks;
}

}  // namespace cohort
