// The thread pool runs every task once and brings errors home.
#include "core/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "tests/core/expect_error.h"

namespace cohort {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(tasks);
      pool.run(tasks, [&](int64_t task, int thread) {
        EXPECT_GE(thread, 0);
        EXPECT_LT(thread, threads);
        ++runs[task];
      });
      for (const auto& count : runs) EXPECT_EQ(count, 1);
    }
  }
}

TEST(ThreadPool, AnExceptionReachesTheCallerAndThePoolGoesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(pool.run(100, [](int64_t task, int) {
      if (task == 41) throw std::runtime_error("task 41");
    }), std::runtime_error);
    std::atomic<int> count{0};
    pool.run(100, [&](int64_t, int) { ++count; });
    EXPECT_EQ(count, 100);
  }
}

TEST(ThreadPool, ManyShortRunsLoseNothing) {
  ThreadPool pool(4);
  std::vector<int64_t> sums(4);
  for (int round = 0; round < 20000; ++round) pool.run(4, [&](int64_t task, int) { sums[task] += task + 1; });
  EXPECT_EQ(sums, (std::vector<int64_t>{20000, 40000, 60000, 80000}));
}

// Calls of different lengths one after the other, more threads than cores: a thread that wakes late finds another call.
TEST(ThreadPool, AThreadThatIsLateTakesNothingOfAnotherCall) {
  ThreadPool pool(6);
  std::vector<std::atomic<int>> runs(64);
  for (int round = 0; round < 20000; ++round) {
    const int64_t tasks = 2 + round * 7 % 62;
    pool.run(tasks, [&, tasks](int64_t task, int) {
      ASSERT_LT(task, tasks);
      ++runs[static_cast<size_t>(task)];
    });
    for (int64_t task = 0; task < 64; ++task)
      ASSERT_EQ(runs[static_cast<size_t>(task)].exchange(0), task < tasks ? 1 : 0) << "round " << round;
  }
}

TEST(ThreadPool, NeedsAThread) { EXPECT_ERROR(ThreadPool(0), kInternal, "at least one thread"); }

}  // namespace
}  // namespace cohort
