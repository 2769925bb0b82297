// The reward `library`: a function in a shared library says the score.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "reward/outside/abi.h"
#include "reward/outside/outside.h"

namespace cohort {

// The library's side: abi.h. The constructor loads and opens it; it throws (exit code 2) when that does not work.
class LibraryReward : public OutsideReward {
 public:
  explicit LibraryReward(const RewardSpec& spec);
  ~LibraryReward() override;

 private:
  void ask(TaskFeed& feed) const override;
  OutsideVerdict ask_one(const RewardInput& input) const;

  std::string path_;
  std::unique_ptr<void, int (*)(void*)> library_;
  void* reward_ = nullptr;  // the library's own
  decltype(&cohort_reward_score) score_ = nullptr;
  decltype(&cohort_reward_close) close_ = nullptr;
  bool many_threads_ = false;
  mutable std::mutex mutex_;
};

}  // namespace cohort
