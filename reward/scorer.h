// Scores many completions at a time: those rewards that compute here on the pool's threads, when all completions are
// there; those that wait for other processes on threads of their own, from the moment a completion is there. Results are
// written by number, so neither order nor threads change a bit.
#pragma once

#include <memory>
#include <vector>

#include "core/threads.h"
#include "reward/reward.h"

namespace cohort {

class ScoreLane;

struct Scores {
  std::vector<std::vector<Verdict>> verdicts;  // of each completion, one a reward
  std::vector<RewardSet::Row> rows;            // the same, summed
  std::vector<double> seconds;                 // of each reward: what its verdicts took, added up
};

constexpr double kNoTimeout = 3e7;  // a year: later than anything, and no overflow in calculations with clocks

class Scorer {
 public:
  // For at most `count` completions, numbered from 0. A completion whose scores are not there `timeout_s` seconds after it was
  // added goes without (Missing::timeout). Both references outlive the scorer.
  Scorer(const RewardSet& rewards, ThreadPool& pool, int64_t count, double timeout_s = kNoTimeout);
  // Before finish() has returned: for a run that fails. What nobody has begun is left, what runs is told to end (Reward::abandon) and
  // waited for.
  ~Scorer();
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  // Each number at most once, in any order. What `input` views stays as it is until the end of finish, or of the scorer. Threads that the system
  // refuses: exit code 6.
  void add(int64_t index, const RewardInput& input);
  // Called once, after all were added: returns when all scores are there, or their time is over. Numbers that were not added have
  // no scores. Throws what a reward threw that cannot go on (RewardSet::verdict).
  Scores finish();

 private:
  struct Lane {  // of one reward that waits for others
    size_t reward;
    std::unique_ptr<ScoreLane> queue;
  };
  Clock::time_point deadline() const;
  void put(size_t reward, int64_t index, Verdict verdict, double seconds);
  void abandon();
  void judge_batches(Clock::time_point end);

  const RewardSet& rewards_;
  ThreadPool& pool_;
  const double timeout_s_;
  std::vector<RewardInput> inputs_;
  std::vector<bool> added_;
  std::vector<std::vector<Verdict>> verdicts_;
  std::vector<std::vector<double>> seconds_;  // of each verdict
  std::vector<size_t> here_;                  // rewards that compute here, one completion at a time
  std::vector<size_t> in_batches_;            // and that judge all of them at once
  bool finished_ = false;
  std::vector<Lane> lanes_;  // last: their threads use all of the above
};

}  // namespace cohort
