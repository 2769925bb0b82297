// Many completions scored at a time: the same rows whatever the threads, each with its deadline, and a failing checker
// costs its own score only.
#include "reward/scorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <random>

#include "tests/core/expect_error.h"
#include "tests/reward/scorer_fixture.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

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

// Whose completion meets the end of the rank's memory is chance: it costs the rank, not a score.
TEST(Scorer, NoMemoryIsNoCompletionsFault) {
  const auto full = [](const RewardInput& input, Clock::time_point deadline) -> Verdict {
    if (input.completion == "unlucky") throw std::bad_alloc();
    return length_of(input, deadline);
  };
  for (const bool here : {true, false}) {
    const RewardSet rewards = here ? make_set(full, length_of, 2) : make_set(length_of, full, 2);
    ThreadPool pool(2);
    Scorer scorer(rewards, pool, 5);
    for (int64_t i = 0; i < 5; ++i) scorer.add(i, {.completion = i == 3 ? "unlucky" : "text"});
    EXPECT_THROW(scorer.finish(), std::bad_alloc);
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

TEST(Scorer, RefusesWhatItsCallerGotWrong) {
  const RewardSet rewards = make_set(length_of, length_of, 1);
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 2);
  scorer.add(0, {.completion = "x"});
  EXPECT_ERROR(scorer.add(0, {.completion = "x"}), kInternal, "completion 0 of 2 is added twice");
  EXPECT_ERROR(scorer.add(2, {.completion = "x"}), kInternal, "completion 2 of 2");
  EXPECT_ERROR(Scorer(rewards, pool, 2, 0), kInternal, "a timeout of 0 s");
}

TEST(Scorer, NumbersMayBeLeftOut) {
  const RewardSet rewards = make_set(length_of, length_of, 1);
  ThreadPool pool(2);
  Scorer scorer(rewards, pool, 3);
  scorer.add(1, {.completion = "wxyz"});
  const Scores scores = scorer.finish();
  ASSERT_EQ(scores.rows.size(), 3u);
  EXPECT_EQ(scores.rows[0].total, std::nullopt);
  EXPECT_EQ(scores.rows[1].scores, rewards.score({.completion = "wxyz"}).scores);
  EXPECT_NE(scores.rows[1].total, std::nullopt);
  EXPECT_EQ(scores.rows[2].total, std::nullopt);
  EXPECT_EQ(scores.verdicts[2][0].missing, Missing::row);
}

// Judges all at once by a function of the call.
class Batched : public Reward {
 public:
  using Judge = std::function<std::vector<Verdict>(std::span<const RewardInput>)>;
  explicit Batched(Judge judge) : judge_(std::move(judge)) {}
  std::optional<double> score(const RewardInput&) const override { return std::nullopt; }
  bool takes_batches() const override { return true; }
  std::vector<Verdict> judge_batch(std::span<const RewardInput> inputs, Clock::time_point) const override { return judge_(inputs); }

 private:
  Judge judge_;
};

// Completions 0, 2 and 5 of 6, added in another order.
Scores score_batch(Batched::Judge judge) {
  std::vector<std::unique_ptr<Reward>> made;
  made.push_back(std::make_unique<Batched>(std::move(judge)));
  made.push_back(std::make_unique<Made>(0, length_of));
  const RewardSet rewards({{.name = "batched"}, {.name = "here"}}, std::move(made));
  ThreadPool pool(2);
  Scorer scorer(rewards, pool, 6);
  for (const int64_t i : {5, 0, 2}) scorer.add(i, {.completion = std::string_view("xxxxxx").substr(0, static_cast<size_t>(i)), .columns = nullptr});
  return scorer.finish();
}

TEST(Scorer, ABatchIsJudgedAtOnceInTheOrderOfNumbers) {
  int calls = 0;
  const Scores scores = score_batch([&](std::span<const RewardInput> inputs) {
    ++calls;
    std::vector<Verdict> verdicts;
    for (const RewardInput& input : inputs) verdicts.push_back({10.0 * static_cast<double>(verdicts.size()) + static_cast<double>(input.completion.size())});
    return verdicts;
  });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(scores.rows[0].scores[0], 0.0);
  EXPECT_EQ(scores.rows[2].scores[0], 12.0);
  EXPECT_EQ(scores.rows[5].scores[0], 25.0);
  EXPECT_TRUE(scores.rows[1].scores.empty()) << "was not added";
  EXPECT_EQ(scores.rows[5].scores[1], std::sqrt(5)) << "rewards beside it are asked as ever";
}

TEST(Scorer, WhatABatchThrowsCostsItsScoresAlone) {
  const auto all_missing = [](const Scores& scores, const char* why) {
    for (const size_t i : {0, 2, 5}) {
      EXPECT_EQ(scores.rows[i].ends[0].missing, Missing::error) << why;
      EXPECT_NE(scores.verdicts[i][0].reason.find(why), std::string::npos) << scores.verdicts[i][0].reason;
    }
    EXPECT_EQ(scores.rows[2].total, std::sqrt(2));
  };
  all_missing(score_batch([](auto) -> std::vector<Verdict> { throw std::runtime_error("no room"); }), "no room");
  all_missing(score_batch([](auto) { return std::vector<Verdict>(2); }), "2 verdicts of 3 completions");
  all_missing(score_batch([](auto) { return std::vector<Verdict>(3, {NAN}); }), "the score is nan");
  EXPECT_THROW(score_batch([](auto) -> std::vector<Verdict> { throw Error(ExitCode::kRankFailed, "the device is gone"); }), Error);
  EXPECT_THROW(score_batch([](auto) -> std::vector<Verdict> { throw std::bad_alloc(); }), std::bad_alloc);
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
