// ThreadStacks: the stacks of a rank's threads, written by the threads themselves when a signal asks them, into memory that
// others can read when the rank computes forever or waits for what does not come.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <vector>

namespace cohort {

struct ThreadStack {
  pid_t thread;
  std::vector<uint64_t> addresses;  // from where the signal found the thread, outwards; empty: it did not answer
  bool asked = true;                // false: there are more threads than kThreads
};

class ThreadStacks {
 public:
  static constexpr int kSignal = SIGUSR2;
  static constexpr size_t kThreads = 64;  // so many tell their stacks

  // From now on the threads of this process, and of its children, answer. Of the last object that was asked to.
  void answer();
  // Asks all threads of `process` but the calling one, its first thread first; waits for their answers at most so long.
  // Nothing of a process that has ended. One call at a time.
  std::vector<ThreadStack> ask(pid_t process, std::chrono::milliseconds most);

 private:
  static constexpr size_t kFrames = 64;
  struct Slot {
    std::atomic<pid_t> thread{0};    // whose it is, by him who asks
    std::atomic<uint32_t> round{0};  // that it was written in, when it is whole
    std::atomic<uint32_t> count{0};
    std::array<std::atomic<uint64_t>, kFrames> addresses{};
  };
  static void on_signal(int);
  void write();

  std::atomic<uint32_t> round_{0};
  std::array<Slot, kThreads> slots_;
};

}  // namespace cohort
