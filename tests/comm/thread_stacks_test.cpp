#include "comm/thread_stacks.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <thread>

#include "comm/last_seen.h"
#include "comm/stall_report.h"
#include "core/code_names.h"

namespace cohort {

// Names that a stack is to hold.
[[gnu::noinline]] void compute_forever_in_a_test(std::atomic<int>& times) {
  while (true) times = times + 1;
}
[[gnu::noinline]] void wait_forever_in_a_test(int file) {
  char byte;
  while (read(file, &byte, 1) != 1) {
  }
  ADD_FAILURE() << "woken up";
}

namespace {

using namespace std::chrono_literals;

// A child that answers, runs `body` and never ends by itself; it has begun when this returns.
class Child {
 public:
  explicit Child(LastSeen& seen, const std::function<void(int never)>& body) {
    int begun[2], never[2];
    if (pipe(begun) != 0 || pipe(never) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      seen.stacks().answer();
      seen.enter("update", 41, LastSeen::Clock::time_point::max());
      if (write(begun[1], "b", 1) != 1) _exit(1);
      body(never[0]);
      _exit(0);
    }
    char byte;
    if (read(begun[0], &byte, 1) != 1) std::abort();
    for (const int end : {begun[0], begun[1], never[0]}) close(end);
    never_ = never[1];
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(never_);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
  int never_;
};

// It has begun, but perhaps not reached the function: asks until it has.
bool comes_to(LastSeen& seen, pid_t child, const std::string& function, size_t thread) {
  for (int tries = 0; tries < 200; ++tries) {
    const std::vector<ThreadStack> stacks = seen.stacks().ask(child, 1000ms);
    if (thread >= stacks.size()) continue;
    for (const std::string& name : code_names(child, stacks[thread].addresses))
      if (name.find(function) != std::string::npos) return true;
  }
  return false;
}

TEST(ThreadStacks, OfAThreadThatComputesAndOfOneThatWaits) {
  LastSeen& seen = make_shared_last_seen();
  std::atomic<int> times = 0;
  const Child child(seen, [&](int never) {
    std::thread([=] { wait_forever_in_a_test(never); }).detach();
    compute_forever_in_a_test(times);
  });
  EXPECT_TRUE(comes_to(seen, child.pid(), "compute_forever_in_a_test", 0));
  EXPECT_TRUE(comes_to(seen, child.pid(), "wait_forever_in_a_test", 1));
  const std::string report = stall_report("rank 3 on node07", child.pid(), seen);
  EXPECT_NE(report.find("cohort: stall report: rank 3 on node07, process " + std::to_string(child.pid()) + " in section update of step 41\n"),
            std::string::npos) << report;
  EXPECT_NE(report.find("state R\n"), std::string::npos) << report;
  EXPECT_NE(report.find("state S\n"), std::string::npos) << report;
  EXPECT_NE(report.find("    cohort::compute_forever_in_a_test(std::atomic<int>&)\n"), std::string::npos) << report;
}

TEST(ThreadStacks, AStoppedThreadIsReportedWithoutOne) {
  LastSeen& seen = make_shared_last_seen();
  const Child child(seen, [](int never) { wait_forever_in_a_test(never); });
  kill(child.pid(), SIGSTOP);
  const std::string report = stall_report("", child.pid(), seen);
  EXPECT_NE(report.find("state T\n    does not answer"), std::string::npos) << report;
}

size_t times_in(const std::string& text, const std::string& part) {
  size_t times = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++times;
  return times;
}

TEST(ThreadStacks, MoreThreadsThanTheReportHoldsAreNoneThatDoNotAnswer) {
  LastSeen& seen = make_shared_last_seen();
  const Child child(seen, [](int never) {
    for (int i = 0; i < 69; ++i) std::thread([=] { wait_forever_in_a_test(never); }).detach();
    wait_forever_in_a_test(never);
  });
  std::vector<ThreadStack> stacks;
  for (int tries = 0; tries < 200 && stacks.size() < 70; ++tries) stacks = seen.stacks().ask(child.pid(), 1000ms);
  ASSERT_EQ(stacks.size(), 70u);
  EXPECT_EQ(std::ranges::count(stacks, false, &ThreadStack::asked), 6);
  const std::string report = stall_report("", child.pid(), seen);
  EXPECT_EQ(times_in(report, "more threads than the report holds (64)\n"), 6u) << report;
  EXPECT_EQ(times_in(report, "does not answer"), 0u) << report;
}

// mpirun may hand its SIGUSR2 on to a rank that is being asked.
TEST(ThreadStacks, AThreadThatRunsTheHandlerTwiceIsToldOnce) {
  LastSeen& seen = make_shared_last_seen();
  const Child child(seen, [](int never) {
    std::thread([=] { wait_forever_in_a_test(never); }).detach();
    wait_forever_in_a_test(never);
  });
  ASSERT_TRUE(comes_to(seen, child.pid(), "wait_forever_in_a_test", 0));
  ASSERT_TRUE(comes_to(seen, child.pid(), "wait_forever_in_a_test", 1));
  std::atomic<bool> enough = false;
  std::thread others([&] {
    for (; !enough; usleep(50)) kill(child.pid(), ThreadStacks::kSignal);
  });
  for (int i = 0; i < 20; ++i) {
    const std::vector<ThreadStack> stacks = seen.stacks().ask(child.pid(), 5000ms);
    ASSERT_EQ(stacks.size(), 2u);
    for (const ThreadStack& stack : stacks) {
      std::string names;
      for (const std::string& name : code_names(child.pid(), stack.addresses)) names += name + "\n";
      EXPECT_EQ(times_in(names, "wait_forever_in_a_test"), 1u) << i << ": " << names;
    }
  }
  enough = true;
  others.join();
}

TEST(ThreadStacks, OfThisProcessFromAnotherThread) {
  LastSeen& seen = make_shared_last_seen();
  const auto earlier = std::signal(ThreadStacks::kSignal, SIG_DFL);
  seen.stacks().answer();
  std::string report;
  std::thread([&] { report = stall_report("", getpid(), seen); }).join();
  EXPECT_NE(report.find("OfThisProcessFromAnotherThread"), std::string::npos) << report;  // where this thread is, in join or on its way there
  EXPECT_EQ(report.find("stall_report("), std::string::npos) << "the thread that asks is in its own report: " << report;
  std::signal(ThreadStacks::kSignal, earlier);
}

TEST(ThreadStacks, NothingOfAProcessThatHasEnded) {
  LastSeen& seen = make_shared_last_seen();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(seen.stacks().ask(child, 1000ms).empty());
}

TEST(CodeNames, AnAddressWithoutCodeIsPrintedAsItIs) {
  const std::vector<uint64_t> stack = {0x10, 0};
  EXPECT_EQ(code_names(getpid(), stack), (std::vector<std::string>{"0x10", "0x0"}));
}

}  // namespace
}  // namespace cohort
