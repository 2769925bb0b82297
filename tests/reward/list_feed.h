// A feed for tests: completions that are all there, each with a deadline of its own.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "reward/feed.h"

namespace cohort {

class ListFeed final : public TaskFeed {
 public:
  struct Entry {
    std::string completion;
    std::chrono::milliseconds time;  // from when it is taken
  };
  explicit ListFeed(std::vector<Entry> entries) : verdicts(entries.size()), entries_(std::move(entries)) {}
  std::optional<RewardTask> take() override {
    if (over()) return std::nullopt;
    const Entry& entry = entries_[next_];
    return RewardTask{static_cast<int64_t>(next_++), {.completion = entry.completion, .finish_reason = "stop", .columns = nullptr},
                      Clock::now() + entry.time};
  }
  bool over() override { return next_ == entries_.size(); }
  int news() const override { return -1; }
  void put(int64_t id, Verdict verdict) override {
    verdicts.at(static_cast<size_t>(id)) = std::move(verdict);
    if (on_put) on_put(id);
  }

  std::vector<Verdict> verdicts;
  std::function<void(int64_t)> on_put;

 private:
  const std::vector<Entry> entries_;
  size_t next_ = 0;
};

}  // namespace cohort
