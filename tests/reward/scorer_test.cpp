// Many completions scored at a time: the same rows whatever the threads, each with its deadline, and a failing checker
// costs its own score only.
#include "reward/scorer.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <thread>

#include "reward/code/nursery.h"
#include "reward/feed.h"
#include "reward/outside/launcher.h"
#include "tests/core/expect_error.h"
#include "tests/reward/outside_fixture.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

// A reward made of a function; workers 0: it computes here.
class Made : public Reward {
 public:
  using Judge = std::function<Verdict(const RewardInput&, Clock::time_point)>;
  Made(int workers, Judge judge) : workers_(workers), judge_(std::move(judge)) {}
  std::optional<double> score(const RewardInput& input) const override { return verdict(input, Clock::time_point::max()).score; }
  Verdict verdict(const RewardInput& input, Clock::time_point deadline) const override { return judge_(input, deadline); }
  int workers() const override { return workers_; }
  std::vector<std::string> outcome_names() const override { return {"even", "odd"}; }

 private:
  int workers_;
  Judge judge_;
};

// One reward that computes here and one with so many workers.
RewardSet make_set(Made::Judge here, Made::Judge outside, int workers) {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<Made>(0, std::move(here)));
  rewards.push_back(std::make_unique<Made>(workers, std::move(outside)));
  return RewardSet({{.name = "here", .weight = 1.0}, {.name = "outside", .weight = 0.1}}, std::move(rewards));
}

Verdict length_of(const RewardInput& input, Clock::time_point) {
  const auto size = static_cast<int>(input.completion.size());
  return {size % 7 == 3 ? std::nullopt : std::optional(std::sqrt(size)), "", Missing::row, size % 2};
}

std::vector<std::string> texts(size_t count) {
  std::vector<std::string> made;
  for (size_t i = 0; i < count; ++i) made.emplace_back(i % 23, 'x');
  return made;
}

void expect_same(const std::vector<RewardSet::Row>& a, const std::vector<RewardSet::Row>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].scores, b[i].scores) << i;
    EXPECT_EQ(a[i].total, b[i].total) << i;
    for (size_t r = 0; r < a[i].ends.size(); ++r) {
      EXPECT_EQ(a[i].ends[r].missing, b[i].ends[r].missing) << i;
      EXPECT_EQ(a[i].ends[r].outcome, b[i].ends[r].outcome) << i;
    }
  }
}

TEST(Scorer, SameRowsForAnyThreadsWorkersAndOrder) {
  const std::vector<std::string> completions = texts(200);
  std::vector<RewardSet::Row> expected;
  const RewardSet alone = make_set(length_of, length_of, 1);
  for (const std::string& text : completions) expected.push_back(alone.score({.completion = text}));
  std::vector<int64_t> order(completions.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::mt19937 random(7);
  for (const int threads : {1, 2, 5}) {
    for (const int workers : {1, 3, 16}) {
      const RewardSet rewards = make_set(length_of, length_of, workers);
      ThreadPool pool(threads);
      Scorer scorer(rewards, pool, static_cast<int64_t>(completions.size()), 600);
      std::ranges::shuffle(order, random);
      for (const int64_t i : order) scorer.add(i, {.completion = completions[static_cast<size_t>(i)]});
      const Scores scores = scorer.finish();
      expect_same(scores.rows, expected);
      ASSERT_EQ(scores.seconds.size(), 2u);
      EXPECT_GT(scores.seconds[0], 0);
    }
  }
}

TEST(Scorer, NoCompletionsGiveNoRows) {
  const RewardSet rewards = make_set(length_of, length_of, 2);
  ThreadPool pool(2);
  EXPECT_TRUE(Scorer(rewards, pool, 0).finish().rows.empty());
}

// Waits until so many were here at a time, or 30 s.
class Meeting {
 public:
  explicit Meeting(int wanted) : wanted_(wanted) {}
  bool arrive() {
    std::unique_lock lock(mutex_);
    most_ = std::max(most_, ++inside_);
    if (most_ >= wanted_) all_.notify_all();
    const bool met = all_.wait_for(lock, 30s, [&] { return most_ >= wanted_; });
    --inside_;
    return met;
  }
  int most() const { return most_; }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  int wanted_, inside_ = 0, most_ = 0;
};

TEST(Scorer, AnOutsideRewardHasAsManyAtATimeAsItSays) {
  Meeting meeting(3);
  const auto meet = [&](const RewardInput&, Clock::time_point) -> Verdict { return {meeting.arrive() ? 1.0 : 0.0, ""}; };
  const RewardSet rewards = make_set(length_of, meet, 3);
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 9);
  for (int64_t i = 0; i < 9; ++i) scorer.add(i, {.completion = "x"});
  for (const RewardSet::Row& row : scorer.finish().rows) EXPECT_EQ(row.scores[1], 1.0);
  EXPECT_EQ(meeting.most(), 3);
}

TEST(Scorer, OutsideRewardsBeginWhenACompletionIsThere) {
  Meeting meeting(2);
  const auto meet = [&](const RewardInput&, Clock::time_point) -> Verdict { return {meeting.arrive() ? 1.0 : 0.0, ""}; };
  const RewardSet rewards = make_set(length_of, meet, 1);
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 2);
  scorer.add(1, {.completion = "x"});
  EXPECT_TRUE(meeting.arrive()) << "it begins before the other completion is added";
  scorer.add(0, {.completion = "x"});
  EXPECT_EQ(scorer.finish().rows[1].scores[1], 1.0);
}

TEST(Scorer, WhatIsNotThereAtItsDeadlineIsLeftOutAndCounted) {
  std::atomic<int> asked = 0;
  const auto slow = [&](const RewardInput&, Clock::time_point deadline) -> Verdict {
    ++asked;
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable never;
    never.wait_until(lock, deadline + 100ms, [] { return false; });  // the others' deadlines are over, too
    return {std::nullopt, "gave up", Missing::timeout};
  };
  const RewardSet rewards = make_set(length_of, slow, 1);
  ThreadPool pool(2);
  Scorer scorer(rewards, pool, 4, 0.2);
  for (int64_t i = 0; i < 4; ++i) scorer.add(i, {.completion = "xx"});
  const Clock::time_point start = Clock::now();
  const Scores scores = scorer.finish();
  EXPECT_LT(seconds_since(start), 20);
  for (const RewardSet::Row& row : scores.rows) {
    EXPECT_EQ(row.scores[0], std::sqrt(2.0)) << "the other reward's";
    EXPECT_EQ(row.total, std::sqrt(2.0));
    EXPECT_EQ(row.ends[1].missing, Missing::timeout);
  }
  EXPECT_EQ(asked, 1) << "the others' turn did not come in time";
  EXPECT_EQ(scores.verdicts[0][1].reason, "gave up");
  EXPECT_NE(scores.verdicts[3][1].reason.find("its turn did not come within 0.2 s"), std::string::npos) << scores.verdicts[3][1].reason;
}

TEST(Scorer, ACheckerThatFailsCostsItsOwnScoreOnly) {
  const auto failing = [](const RewardInput& input, Clock::time_point) -> Verdict {
    if (input.completion == "throws") throw std::runtime_error("the checker died");
    if (input.completion == "throws a number") throw 3;
    if (input.completion == "not a number") return {std::nan(""), ""};
    if (input.completion == "infinite") return {HUGE_VAL, ""};
    return {1.0, ""};
  };
  const std::vector<std::string> completions = {"throws", "fine", "throws a number", "not a number", "infinite"};
  for (const bool here : {true, false}) {
    const RewardSet rewards = here ? make_set(failing, length_of, 2) : make_set(length_of, failing, 2);
    ThreadPool pool(2);
    Scorer scorer(rewards, pool, 5);
    for (int64_t i = 0; i < 5; ++i) scorer.add(i, {.completion = completions[static_cast<size_t>(i)]});
    const Scores scores = scorer.finish();
    const size_t r = here ? 0 : 1;
    for (const size_t i : {0, 2, 3, 4}) {
      EXPECT_EQ(scores.rows[i].scores[r], std::nullopt) << completions[i];
      EXPECT_EQ(scores.rows[i].ends[r].missing, Missing::error);
      EXPECT_TRUE(scores.rows[i].scores[1 - r]) << "the other reward's score is there";
    }
    EXPECT_EQ(scores.rows[1].scores[r], 1.0);
    EXPECT_EQ(scores.verdicts[0][r].reason, "the checker died");
    EXPECT_EQ(scores.verdicts[2][r].reason, "an unknown exception");
    EXPECT_EQ(scores.verdicts[3][r].reason, "the score is nan");
  }
}

TEST(Scorer, WhatEndsEveryScoreEndsTheScoring) {
  const auto gone = [](const RewardInput&, Clock::time_point) -> Verdict { throw Error(ExitCode::kRankFailed, "the server is gone"); };
  for (const bool here : {true, false}) {
    const RewardSet rewards = here ? make_set(gone, length_of, 2) : make_set(length_of, gone, 2);
    ThreadPool pool(2);
    Scorer scorer(rewards, pool, 5);
    for (int64_t i = 0; i < 5; ++i) scorer.add(i, {.completion = "text"});
    EXPECT_ERROR(scorer.finish(), kRankFailed, "the server is gone");
  }
}

TEST(Scorer, LeavingBeforeTheEndWaitsForWhatRunsAndBeginsNothing) {
  std::atomic<int> begun = 0;
  Meeting meeting(2);
  const auto meet = [&](const RewardInput&, Clock::time_point) -> Verdict {
    ++begun;
    meeting.arrive();
    return {1.0, ""};
  };
  const RewardSet rewards = make_set(length_of, meet, 1);
  ThreadPool pool(1);
  {
    Scorer scorer(rewards, pool, 3);
    scorer.add(0, {.completion = "x"});
    EXPECT_TRUE(meeting.arrive());
  }
  EXPECT_EQ(begun, 1);
}

// Judges what its feed has, as many at a time as there are, and ends early when it is told to.
class Fed : public Reward {
 public:
  using Serve = std::function<void(TaskFeed&, const std::atomic<bool>& abandoned)>;
  explicit Fed(Serve serve) : serve_(std::move(serve)) {}
  std::optional<double> score(const RewardInput&) const override { return std::nullopt; }
  bool takes_feed() const override { return true; }
  void serve(TaskFeed& feed) const override { serve_(feed, abandoned_); }
  void abandon() const override { abandoned_ = true; }

 private:
  Serve serve_;
  mutable std::atomic<bool> abandoned_ = false;
};

RewardSet make_fed(Fed::Serve serve) {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<Made>(0, length_of));
  rewards.push_back(std::make_unique<Fed>(std::move(serve)));
  return RewardSet({{.name = "here"}, {.name = "fed"}}, std::move(rewards));
}

void wait_for_news(const TaskFeed& feed) {
  pollfd entry{feed.news(), POLLIN, 0};
  poll(&entry, 1, 30'000);
}

TEST(Scorer, AFeedGivesEachCompletionOnceAndTakesVerdictsInAnyOrder) {
  const std::vector<std::string> completions = texts(100);
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

TEST(Scorer, WhatAFeedIsTakenTooLateForIsLeftOut) {
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

TEST(Scorer, WhatServingThrowsCostsWhatItHad) {
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
    if (!reasons[i].empty()) EXPECT_EQ(scores.rows[i].ends[1].missing, Missing::error);
    EXPECT_TRUE(scores.rows[i].scores[0] || completions[i].size() % 7 == 3) << "the other reward's score is there";
  }
}

TEST(Scorer, AServerThatIsGoneEndsTheScoring) {
  const RewardSet rewards = make_fed([](TaskFeed&, const std::atomic<bool>&) { throw Error(ExitCode::kRankFailed, "the server is gone"); });
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 2);
  for (int64_t i = 0; i < 2; ++i) scorer.add(i, {.completion = "x"});
  EXPECT_ERROR(scorer.finish(), kRankFailed, "the server is gone");
}

// A run that fails, or one of whose rewards is gone, does not wait for the others' checkers.
TEST(Scorer, AFailingRunDoesNotWaitForCheckers) {
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
TEST(Scorer, ThreadsAndHelpersOfAPinnedRankRunAnywhere) {
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
    const RewardSet made = make_set(length_of, [&](const RewardInput&, Clock::time_point) -> Verdict { return seen = cores_of(0), Verdict{1.0, ""}; }, 1);
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

TEST(Scorer, RefusesWhatItsCallerGotWrong) {
  const RewardSet rewards = make_set(length_of, length_of, 1);
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 2);
  scorer.add(0, {.completion = "x"});
  EXPECT_ERROR(scorer.add(0, {.completion = "x"}), kInternal, "completion 0 of 2 is added twice");
  EXPECT_ERROR(scorer.add(2, {.completion = "x"}), kInternal, "completion 2 of 2");
  EXPECT_ERROR(scorer.finish(), kInternal, "1 of 2 completions were added");
  EXPECT_ERROR(Scorer(rewards, pool, 2, 0), kInternal, "a timeout of 0 s");
}

TEST(RewardSet, OutcomesHaveWords) {
  const RewardSet rewards = make_set(length_of, length_of, 1);
  EXPECT_EQ(outcome_text(rewards.reward(0), {std::nullopt, 1}), "odd");
  EXPECT_EQ(outcome_text(rewards.reward(0), {std::nullopt, -1}), "scored");
  EXPECT_EQ(outcome_text(rewards.reward(0), {Missing::row, -1}), "none");
  EXPECT_EQ(outcome_text(rewards.reward(0), {Missing::timeout, -1}), "timeout");
  EXPECT_EQ(outcome_text(rewards.reward(0), {Missing::error, 7}), "error");
}

}  // namespace
}  // namespace cohort
