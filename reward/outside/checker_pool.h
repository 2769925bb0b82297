// The processes of the reward `command`, and who is asked what.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "reward/outside/checker.h"

namespace cohort {

// A completion is charged with a fault (a missed deadline, the process's death, anything that is no answer) only when its
// request was the only one that the process was ever given. In all other cases what had no answer yet is asked again: first
// alone, then alone in a new process. So what a checker does to one completion cannot reach another one's score.
//
// Thread-safe.
class CheckerPool {
 public:
  // Starts one process and waits until it is ready; the others start when they are needed. Throws (exit code 2) when that
  // does not work. The launcher outlives the pool.
  CheckerPool(Launcher& launcher, CheckerSettings settings);
  // Lets the processes end by themselves for a moment, then kills them.
  ~CheckerPool();

  // Waits for free processes, and takes as many as there are. Bounded by (deadline of a request + that of a start) times
  // three for each input, and by `last`: what has no answer then ends as timeout, and its process is killed. Throws (exit code 4) when a process cannot be started again kStarts times in a row.
  std::vector<OutsideVerdict> judge(std::span<const RewardInput> inputs, Clock::time_point last = Clock::time_point::max());
  static constexpr int kStarts = 5;

  int workers() const { return static_cast<int>(settings_.workers); }
  int64_t restarts() const;  // so far

 private:
  friend class CheckerBatch;
  // A place for a process. Empty: there is none now.
  struct Slot {
    std::unique_ptr<Checker> checker;
    int failed_starts = 0;  // in a row
    Clock::time_point start_at{};
  };
  std::vector<Slot> borrow(size_t wanted, Clock::time_point last);
  void give_back(std::vector<Slot> slots, int64_t restarts);
  int64_t take_id();

  Launcher& launcher_;
  const CheckerSettings settings_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Slot> free_;
  int64_t next_id_ = 0, restarts_ = 0;
};

}  // namespace cohort
