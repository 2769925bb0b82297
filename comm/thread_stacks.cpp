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

// In a signal's handler: nothing is allocated here.
[[gnu::noinline]] void ThreadStacks::write() {
  const uint32_t round = round_.load(), at = next_.fetch_add(1);
  if (at >= kThreads) return;
  void* frames[kFrames + kOwnFrames];
  const int found = backtrace(frames, static_cast<int>(std::size(frames)));
  Slot& slot = slots_[at];
  slot.thread = static_cast<pid_t>(syscall(SYS_gettid));
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
  const uint32_t round = ++round_;
  next_ = 0;
  std::vector<ThreadStack> stacks;
  size_t asked = 0;
  for (const pid_t thread : threads_of(process)) {
    if (thread == static_cast<pid_t>(syscall(SYS_gettid))) continue;
    stacks.push_back({thread, {}});
    asked += syscall(SYS_tgkill, process, thread, kSignal) == 0;
  }
  const auto answered = [&] {
    return static_cast<size_t>(std::ranges::count_if(slots_, [&](const Slot& slot) { return slot.round == round; }));
  };
  while (answered() < std::min(asked, kThreads) && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  for (const Slot& slot : slots_) {
    if (slot.round != round) continue;
    const auto stack = std::ranges::find(stacks, slot.thread.load(), &ThreadStack::thread);
    if (stack == stacks.end()) continue;
    for (uint32_t i = 0; i < std::min<uint32_t>(slot.count, kFrames); ++i) stack->addresses.push_back(slot.addresses[i]);
  }
  return stacks;
}

}  // namespace cohort
