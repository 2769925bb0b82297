// Rewards that take a feed of completions, and threads that wait for rewards: deadlines, failures, runs that fail, pinned ranks.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "reward/code/nursery.h"
#include "reward/outside/launcher.h"
#include "tests/core/expect_error.h"
#include "tests/reward/outside_fixture.h"
#include "tests/reward/scorer_fixture.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

TEST(ScoreLane, AFeedGivesEachCompletionOnceAndTakesVerdictsInAnyOrder) {
  std::vector<std::string> completions;
  for (size_t i = 0; i < 100; ++i) completions.emplace_back(i % 23, 'x');
  std::atomic<size_t> most = 0;
  const RewardSet rewards = make_fed([&](TaskFeed& feed, const std::atomic<bool>&) {
    std::vector<RewardTask> held;
    while (!feed.over() || !held.empty()) {
      wait_for_news(feed);
      while (auto task = feed.take()) held.push_back(*task);
      if (held.size() < 10 && !feed.over()) continue;
      most = std::max(most.load(), held.size());
      for (; !held.empty(); held.pop_back())  // the last one first
        feed.put(held.back().id, {static_cast<double>(held.back().input.completion.size()), ""});
    }
  });
  for (int repeat = 0; repeat < 20; ++repeat) {
    ThreadPool pool(2);
    Scorer scorer(rewards, pool, 100);
    for (int64_t i = 0; i < 100; ++i) scorer.add(i, {.completion = completions[static_cast<size_t>(i)]});
    const Scores scores = scorer.finish();
    for (size_t i = 0; i < 100; ++i) EXPECT_EQ(scores.rows[i].scores[1], static_cast<double>(completions[i].size()));
  }
  EXPECT_GE(most, 10u);
}

TEST(ScoreLane, WhatAFeedIsTakenTooLateForIsLeftOut) {
  const RewardSet rewards = make_fed([&](TaskFeed& feed, const std::atomic<bool>&) {
    const auto first = feed.take();
    ASSERT_TRUE(first);
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable never;
    never.wait_until(lock, first->deadline + 300ms, [] { return false; });
    feed.put(first->id, {1.0, ""});
    while (!feed.over()) {
      wait_for_news(feed);
      EXPECT_FALSE(feed.take());
    }
  });
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 3, 0.2);
  for (int64_t i = 0; i < 3; ++i) scorer.add(i, {.completion = "x"});
  const Scores scores = scorer.finish();
  EXPECT_EQ(scores.rows[0].scores[1], 1.0);
  for (const size_t i : {1, 2}) EXPECT_EQ(scores.rows[i].ends[1].missing, Missing::timeout);
}

TEST(ScoreLane, WhatServingThrowsCostsWhatItHad) {
  std::atomic<int> calls = 0;
  const RewardSet rewards = make_fed([&](TaskFeed& feed, const std::atomic<bool>&) {
    if (++calls == 1) throw std::runtime_error("no memory");  // it has taken nothing: one completion is charged
    while (!feed.over()) {
      wait_for_news(feed);
      while (const auto task = feed.take()) {
        if (task->input.completion == "bad") throw Error(ExitCode::kResources, "no pipes");
        if (task->input.completion == "odd") throw 3;
        feed.put(task->id, {task->input.completion == "nan" ? std::nan("") : 1.0, ""});
      }
    }
  });
  const std::vector<std::string> completions = {"first", "x", "bad", "x", "odd", "nan", "x"};
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 7);
  for (int64_t i = 0; i < 7; ++i) scorer.add(i, {.completion = completions[static_cast<size_t>(i)]});
  const Scores scores = scorer.finish();
  const std::vector<std::string> reasons = {"no memory", "", "no pipes", "", "an unknown exception", "the score is nan", ""};
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(scores.verdicts[i][1].reason, reasons[i]) << i;
    EXPECT_EQ(scores.rows[i].scores[1].has_value(), reasons[i].empty()) << i;
    EXPECT_EQ(scores.rows[i].ends[1].missing == Missing::error, !reasons[i].empty()) << i;
    EXPECT_TRUE(scores.rows[i].scores[0] || completions[i].size() % 7 == 3) << "the other reward's score is there";
  }
}

TEST(ScoreLane, AServerThatIsGoneEndsTheScoring) {
  const RewardSet rewards = make_fed([](TaskFeed&, const std::atomic<bool>&) { throw Error(ExitCode::kRankFailed, "the server is gone"); });
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 2);
  for (int64_t i = 0; i < 2; ++i) scorer.add(i, {.completion = "x"});
  EXPECT_ERROR(scorer.finish(), kRankFailed, "the server is gone");
}

TEST(ScoreLane, NoMemoryIsNoCompletionsFault) {
  const RewardSet rewards = make_fed([](TaskFeed& feed, const std::atomic<bool>&) {
    (void)feed.take();
    throw std::bad_alloc();
  });
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 2);
  for (int64_t i = 0; i < 2; ++i) scorer.add(i, {.completion = "x"});
  EXPECT_THROW(scorer.finish(), std::bad_alloc);
}

// A run that fails, or one of whose rewards is gone, does not wait for the others' checkers.
TEST(ScoreLane, AFailingRunDoesNotWaitForCheckers) {
  std::atomic<bool> begun = false;
  const auto endless = [&](TaskFeed& feed, const std::atomic<bool>& abandoned) {
    const auto task = feed.take();
    begun = true;
    while (!abandoned) std::this_thread::yield();
    if (task) feed.put(task->id, {std::nullopt, "given up", Missing::error});
  };
  const Clock::time_point start = Clock::now();
  {
    const RewardSet rewards = make_fed(endless);
    ThreadPool pool(1);
    Scorer scorer(rewards, pool, 3);
    scorer.add(0, {.completion = "x"});
    while (!begun) std::this_thread::yield();
  }
  std::vector<std::unique_ptr<Reward>> both;
  both.push_back(std::make_unique<Fed>(endless));
  both.push_back(std::make_unique<Made>(1, [](const RewardInput&, Clock::time_point) -> Verdict {
    throw Error(ExitCode::kRankFailed, "the server is gone");
  }));
  const RewardSet rewards({{.name = "endless"}, {.name = "gone"}}, std::move(both));
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 2);
  for (int64_t i = 0; i < 2; ++i) scorer.add(i, {.completion = "x"});
  EXPECT_ERROR(scorer.finish(), kRankFailed, "the server is gone");
  EXPECT_LT(seconds_since(start), 20);
}

int cores_of(pid_t pid) {
  cpu_set_t set;
  return sched_getaffinity(pid, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

// In a process of its own, as it pins itself.
TEST(ScoreLane, ThreadsAndHelpersOfAPinnedRankRunAnywhere) {
  const int all = cores_of(0);
  if (all < 2) GTEST_SKIP() << "one core";
  const pid_t child = fork();
  if (child == 0) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    int first = 0;
    while (!CPU_ISSET(static_cast<size_t>(first), &set)) ++first;
    ThreadPool pool(1);
    pool.pin(std::vector<int>{first});
    EXPECT_EQ(cores_of(0), 1);
    const Launcher launcher;
    const Nursery nursery;
    EXPECT_TRUE(eventually([&] { return cores_of(launcher.pid()) == all && cores_of(nursery.pid()) == all; }));
    std::atomic<int> seen = 0, fed = 0;
    const auto look = [&](const RewardInput&, Clock::time_point) -> Verdict { return seen = cores_of(0), Verdict{1.0, ""}; };
    const RewardSet made = make_set(length_of, look, 1);
    const RewardSet served = make_fed([&](TaskFeed& feed, const std::atomic<bool>&) {
      fed = cores_of(0);
      while (!feed.over()) {
        wait_for_news(feed);
        while (const auto task = feed.take()) feed.put(task->id, {1.0, ""});
      }
    });
    for (const RewardSet* rewards : {&made, &served}) {
      Scorer scorer(*rewards, pool, 1);
      scorer.add(0, {.completion = "x"});
      scorer.finish();
    }
    EXPECT_EQ(seen, all);
    EXPECT_EQ(fed, all);
    EXPECT_EQ(cores_of(0), 1) << "the pinned thread itself stays where it is";
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace cohort
