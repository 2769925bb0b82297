#include "comm/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace cohort {
namespace {

using namespace std::chrono_literals;

// Collects what a watchdog reports.
struct Report {
  std::promise<std::string> promise;
  std::future<std::string> message = promise.get_future();
  std::atomic<int> calls = 0;
  std::function<void(const std::string&)> callback() {
    return [this](const std::string& text) {
      if (++calls == 1) promise.set_value(text);
    };
  }
};

TEST(Watchdog, NamesWhoWhereHowLongAndStep) {
  Report report;
  Watchdog watchdog("rank 3 on node07", report.callback());
  watchdog.enter("update", 41, 20ms);
  EXPECT_EQ(report.message.get(), "rank 3 on node07: section update exceeded 0.02 s at step 41");
}

TEST(Watchdog, SaysNothingOfASingleProcess) {
  Report report;
  Watchdog watchdog("", report.callback());
  watchdog.enter("load", 0, 1ms);
  EXPECT_EQ(report.message.get(), "section load exceeded 0.001 s at step 0");
}

TEST(Watchdog, ToldOfACollectiveItWaitsForItsReportAndNamesIt) {
  LastSeen seen;
  Report report;
  Watchdog watchdog("", report.callback(), &seen);
  const auto start = std::chrono::steady_clock::now();
  seen.enter_collective("all_gather(rollouts)", LastSeen::Clock::now() + 400ms);
  watchdog.enter("reward", 3, 10ms);
  EXPECT_EQ(seen.where(), "section reward of step 3, in all_gather(rollouts)");
  EXPECT_EQ(report.message.get(), "section reward exceeded 0.01 s at step 3, in all_gather(rollouts)");
  EXPECT_GE(std::chrono::steady_clock::now() - start, 400ms + Watchdog::kPatience);
}

TEST(Watchdog, KnowsTheLastSectionWhetherLeftOrNot) {
  LastSeen seen;
  Watchdog watchdog("", [](const std::string&) {}, &seen);
  EXPECT_EQ(watchdog.last().section, "");
  watchdog.enter("rollout", 7, 1h);
  EXPECT_NE(seen.deadline(), LastSeen::Clock::time_point::max());
  watchdog.leave();
  EXPECT_EQ(watchdog.last().section, "rollout");
  EXPECT_EQ(watchdog.last().step, 7);
  EXPECT_EQ(seen.deadline(), LastSeen::Clock::time_point::max());
}

TEST(Watchdog, DoesNotExpireEarly) {
  Report report;
  Watchdog watchdog("", report.callback());
  const auto start = std::chrono::steady_clock::now();
  watchdog.enter("rollout", 1, 50ms);
  report.message.get();
  EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
}

TEST(Watchdog, ASectionThatWasLeftCannotExpire) {
  Report report, later;
  Watchdog watchdog("", report.callback()), clock("", later.callback());
  const auto start = std::chrono::steady_clock::now();
  watchdog.enter("reward", 1, 100ms);
  watchdog.leave();
  if (std::chrono::steady_clock::now() - start >= 100ms) GTEST_SKIP() << "too busy a machine";
  clock.enter("clock", 0, 200ms);
  later.message.get();
  EXPECT_EQ(report.calls, 0);
}

TEST(Watchdog, AShorterDeadlineReplacesALongerOne) {
  Report report;
  Watchdog watchdog("", report.callback());
  watchdog.enter("load", 0, 1h);
  watchdog.enter("rollout", 1, 5ms);
  EXPECT_EQ(report.message.get(), "section rollout exceeded 0.005 s at step 1");
}

TEST(Watchdog, ALongerDeadlineReplacesAShorterOne) {
  Report report;
  Watchdog watchdog("", report.callback());
  for (int step = 0; step < 50; ++step) {
    watchdog.enter("rollout", step, 10s);
    watchdog.enter("update", step, 1h);
  }
  // Both wake-ups of the thread, and neither is an expiry.
  watchdog.enter("checkpoint", 50, 20ms);
  EXPECT_EQ(report.message.get(), "section checkpoint exceeded 0.02 s at step 50");
}

TEST(Watchdog, ZeroIsNoDeadline) {
  Report report, later;
  Watchdog watchdog("", report.callback()), clock("", later.callback());
  watchdog.enter("load", 0, 0ms);
  clock.enter("clock", 0, 50ms);
  later.message.get();
  EXPECT_EQ(report.calls, 0);
}

TEST(Watchdog, ReportsOnce) {
  Report report;
  {
    Watchdog watchdog("", report.callback());
    watchdog.enter("load", 0, 1ms);
    report.message.get();
    watchdog.enter("rollout", 1, 1ms);
  }
  EXPECT_EQ(report.calls, 1);
}

TEST(Watchdog, EndsWithALongDeadlinePending) {
  Report report;
  const auto start = std::chrono::steady_clock::now();
  {
    Watchdog watchdog("", report.callback());
    watchdog.enter("load", 0, 1h);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  EXPECT_EQ(report.calls, 0);
}

TEST(Watchdog, ManyThreadsMayEnterAndLeave) {
  Report report;
  {
    Watchdog watchdog("", report.callback());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&watchdog, t] {
        for (int i = 0; i < 2000; ++i) {
          watchdog.enter(t % 2 ? "rollout" : "a section with a name too long for small strings", i,
                         t == 0 ? 1h : 2h);
          watchdog.leave();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(report.calls, 0);
}

}  // namespace
}  // namespace cohort
