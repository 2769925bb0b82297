// The completions that wait for one reward, and the threads that see to them: a part of the scorer (scorer.h).
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/fd.h"
#include "reward/feed.h"

namespace cohort {

// Threads begin with the first completion. A reward that takes a feed has one, which this is; any other has workers() of them. They
// run wherever the process may, also where the thread that adds completions is pinned.
class ScoreLane final : public TaskFeed {
 public:
  struct Host {
    std::function<Verdict(const RewardTask&)> judge;      // for rewards that take no feed; throws what ends all scoring
    std::function<void(int64_t id, Verdict verdict, double seconds)> put;
    std::function<Verdict()> too_late;                    // for what nobody began before its deadline
    std::function<void()> failed;                         // no score can be had any more: the other lanes may stop, too
  };
  ScoreLane(const Reward& reward, Host host);
  // Abandons it, and waits for the threads.
  ~ScoreLane() override;

  // Threads that the system refuses: exit code 6, if there is none at all.
  void add(RewardTask task);
  // All are added: returns when each has its verdict, or the lane is abandoned. Throws what went wrong for good.
  void finish();
  // What nobody has begun stays undone.
  void abandon();

  // For the reward.
  std::optional<RewardTask> take() override;
  bool over() override;
  int news() const override { return news_.get(); }
  void put(int64_t id, Verdict verdict) override;

 private:
  void start_thread();
  void work();
  void serve();
  void charge(const std::string& why);
  void give_up();  // in a catch: the exception is the lane's end
  std::optional<RewardTask> wait_for_task();
  std::optional<RewardTask> next(std::unique_lock<std::mutex>& lock);
  void ring() const;
  void end(bool abandon);

  const Reward& reward_;
  const Host host_;
  const size_t most_threads_;
  Fd news_;  // an eventfd, for rewards that take a feed
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<RewardTask> tasks_;
  size_t next_ = 0;
  bool ended_ = false, abandoned_ = false;
  std::exception_ptr failure_;  // the first; the others of the lane are left
  std::map<int64_t, Clock::time_point> taken_;  // by a reward that takes a feed: since when
  std::vector<std::jthread> threads_;
};

}  // namespace cohort
