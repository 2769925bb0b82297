// Serves one feed on processes of a pool: who is asked what, and what follows from what it does.
#pragma once

#include <map>
#include <vector>

#include "reward/feed.h"
#include "reward/outside/checker_pool.h"

namespace cohort {

// Used by one thread. Each process has up to `in_flight` requests, handed out as answers come; processes come before depth: a completion that
// waits starts another process, if there is a place for one.
class CheckerService {
 public:
  CheckerService(CheckerPool& pool, TaskFeed& feed) : pool_(pool), feed_(feed) {}
  ~CheckerService() { pool_.give_back(std::move(slots_), restarts_); }
  CheckerService(const CheckerService&) = delete;

  // Until the feed is over and each completion has its verdict.
  void run();

 private:
  using Slot = CheckerPool::Slot;
  struct Asked {
    int64_t task;
    bool alone;
  };
  bool has_room() const;
  void take_tasks();
  void give_up_all();
  void expire();
  void expire_asked(Slot& slot, Clock::time_point now);
  void get_slots();
  size_t starts_needed() const;
  void start_missing();
  void look_at(Slot& slot);
  void replace(Slot& slot);
  void ask_again(const Checker& checker);
  bool hand_out(Slot& slot);
  void settle(int64_t task, OutsideVerdict verdict);
  void wait();

  CheckerPool& pool_;
  TaskFeed& feed_;
  std::vector<Slot> slots_;
  std::map<int64_t, RewardTask> tasks_;          // that have no verdict yet, by the feed's number
  std::vector<int64_t> shared_, alone_, fresh_;  // to be asked: with others, alone, alone in a new process; the first one first
  std::map<int64_t, Asked> asked_;               // by the request's number
  int64_t restarts_ = 0;
};

}  // namespace cohort
