// Completions on their way to a reward that has many of them judged at a time (Reward::takes_feed).
#pragma once

#include <cstdint>
#include <optional>

#include "reward/reward.h"

namespace cohort {

struct RewardTask {
  int64_t id = 0;              // for put()
  RewardInput input;           // views what lives until the feed is over
  Clock::time_point deadline;  // an answer after it counts no more (Missing::timeout)
};

// Used by one thread.
class TaskFeed {
 public:
  virtual ~TaskFeed() = default;
  // The next completion, if there is one now.
  virtual std::optional<RewardTask> take() = 0;
  // There will be none any more.
  virtual bool over() = 0;
  // For poll: readable when take() has something to give or when it is over. -1: all is there from the start.
  virtual int news() const = 0;
  // Once for each task that was taken, in any order.
  virtual void put(int64_t id, Verdict verdict) = 0;
};

}  // namespace cohort
