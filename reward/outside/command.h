// The reward `command`: a program of the user's own says the score.
#pragma once

#include <memory>

#include "reward/outside/checker_pool.h"
#include "reward/outside/outside.h"

namespace cohort {

// Options, protocol and what happens to a program that breaks it: docs/outside-rewards.md. The constructor starts the program;
// it throws (exit code 2) when that does not work.
class CommandReward : public OutsideReward {
 public:
  explicit CommandReward(const RewardSpec& spec);
  bool takes_feed() const override { return true; }
  void abandon() const override { pool_->abandon(); }
  int64_t restarts() const { return pool_->restarts(); }

 private:
  void ask(TaskFeed& feed) const override { pool_->serve(feed); }
  std::unique_ptr<CheckerPool> pool_;
};

}  // namespace cohort
