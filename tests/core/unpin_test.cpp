// What a pinned thread starts may run wherever the process may.
#include "core/unpin.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>
#include <vector>

#include "core/threads.h"

namespace cohort {
namespace {

std::vector<int> allowed() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
  return cpus;
}

// What a thread that a pinned one starts may use, before and after it has left that core.
void expect_cores(const std::vector<int>& before, const std::vector<int>& after) {
  std::vector<int> inherited, left;
  std::thread([&] {
    inherited = allowed();
    unpin_thread();
    left = allowed();
  }).join();
  EXPECT_EQ(inherited, before);
  EXPECT_EQ(left, after);
}

TEST(Unpin, LeavesThePinnedCoreForAllThatTheProcessMayUse) {
  const std::vector<int> cpus = allowed();
  if (cpus.size() < 2) GTEST_SKIP() << "this process may use one core only";
  std::thread([&] {  // the test's own thread stays as it is
    ThreadPool pool(2);
    pool.pin(std::vector<int>{cpus[1], cpus[0]});
    expect_cores({cpus[1]}, cpus);
  }).join();
}

TEST(Unpin, StaysWhereItIsWhereNothingIsPinned) { expect_cores(allowed(), allowed()); }

}  // namespace
}  // namespace cohort
