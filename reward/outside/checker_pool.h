// The processes of the reward `command`.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "reward/outside/checker.h"

namespace cohort {

// Thread-safe.
class CheckerPool {
 public:
  // Starts one process and waits until it is ready; the others start when they are needed. Throws (exit code 2) when that
  // does not work. The launcher outlives the pool.
  CheckerPool(Launcher& launcher, CheckerSettings settings);
  // Lets the processes end by themselves for a moment, then kills them.
  ~CheckerPool();

  // What Reward::serve promises, on as many processes as are free (checker_service.h). A completion is charged with a fault (a missed deadline,
  // the process's death, anything that is no answer) only when its request was the only one that the process was ever given. In all other
  // cases what had no answer yet is asked again: first alone, then alone in a new process. So what a checker does to one completion
  // cannot reach another one's score. A completion takes at most three times (deadline of a request + that of a start), and ends as
  // timeout at its own deadline; the process that had it is then killed. Throws (exit code 4) when a process cannot be started again kStarts
  // times in a row.
  void serve(TaskFeed& feed);
  static constexpr int kStarts = 5;

  // Whoever serves a feed gives up its completions within a second or so, and later ones at once.
  void abandon();
  bool abandoned() const { return abandoned_; }

  int64_t restarts() const;  // so far
  const CheckerSettings& settings() const { return settings_; }

  // A place for a process. Empty: there is none now.
  struct Slot {
    std::unique_ptr<Checker> checker;
    int failed_starts = 0;  // in a row
    Clock::time_point start_at{};
  };
  // For who serves a feed. At most `wanted` that nobody has; those that have a process first.
  std::vector<Slot> borrow(size_t wanted);
  void wait_for_free_slot(Clock::time_point until);  // or a while
  void give_back(std::vector<Slot> slots, int64_t restarts);
  int64_t take_id();
  std::unique_ptr<Checker> start() { return std::make_unique<Checker>(launcher_, settings_); }

 private:
  Launcher& launcher_;
  const CheckerSettings settings_;
  std::atomic<bool> abandoned_ = false;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Slot> free_;
  int64_t next_id_ = 0, restarts_ = 0;
};

// Waits until one of them is ready, or `until`, or for a second.
void poll_until(std::vector<pollfd>& entries, Clock::time_point until);

}  // namespace cohort
