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
  int workers() const override { return pool_->workers(); }
  int64_t restarts() const { return pool_->restarts(); }

 private:
  std::vector<OutsideVerdict> ask(std::span<const RewardInput> inputs, Clock::time_point deadline) const override {
    return pool_->judge(inputs, deadline);
  }
  std::unique_ptr<CheckerPool> pool_;
};

}  // namespace cohort
