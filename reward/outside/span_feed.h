// A feed of completions that are all there from the start.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "reward/feed.h"

namespace cohort {

class SpanFeed final : public TaskFeed {
 public:
  SpanFeed(std::span<const RewardInput> inputs, Clock::time_point deadline) : verdicts(inputs.size()), inputs_(inputs), deadline_(deadline) {}
  std::optional<RewardTask> take() override {
    if (over()) return std::nullopt;
    const size_t i = next_++;
    return RewardTask{static_cast<int64_t>(i), inputs_[i], deadline_};
  }
  bool over() override { return next_ == inputs_.size(); }
  int news() const override { return -1; }
  void put(int64_t id, Verdict verdict) override {
    verdicts.at(static_cast<size_t>(id)) = std::move(verdict);
    ++put_;
  }
  bool complete() const { return put_ == inputs_.size(); }

  std::vector<Verdict> verdicts;

 private:
  const std::span<const RewardInput> inputs_;
  const Clock::time_point deadline_;
  size_t next_ = 0, put_ = 0;
};

}  // namespace cohort
