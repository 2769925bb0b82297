// Rewards for the tests of the scorer, made of functions.
#pragma once

#include <poll.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "reward/feed.h"
#include "reward/scorer.h"

namespace cohort {

// A reward made of a function; workers 0: it computes here.
class Made : public Reward {
 public:
  using Judge = std::function<Verdict(const RewardInput&, Clock::time_point)>;
  Made(int workers, Judge judge) : workers_(workers), judge_(std::move(judge)) {}
  std::optional<double> score(const RewardInput& input) const override { return verdict(input, Clock::time_point::max()).score; }
  Verdict verdict(const RewardInput& input, Clock::time_point deadline) const override { return judge_(input, deadline); }
  int workers() const override { return workers_; }
  std::vector<std::string> outcome_names() const override { return {"even", "odd"}; }

 private:
  int workers_;
  Judge judge_;
};

// One reward that computes here and one with so many workers.
inline RewardSet make_set(Made::Judge here, Made::Judge outside, int workers) {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<Made>(0, std::move(here)));
  rewards.push_back(std::make_unique<Made>(workers, std::move(outside)));
  return RewardSet({{.name = "here", .weight = 1.0}, {.name = "outside", .weight = 0.1}}, std::move(rewards));
}

inline Verdict length_of(const RewardInput& input, Clock::time_point) {
  const auto size = static_cast<int>(input.completion.size());
  return {size % 7 == 3 ? std::nullopt : std::optional(std::sqrt(size)), "", Missing::row, size % 2};
}

// Judges what its feed has, as many at a time as there are, and ends early when it is told to.
class Fed : public Reward {
 public:
  using Serve = std::function<void(TaskFeed&, const std::atomic<bool>& abandoned)>;
  explicit Fed(Serve serve) : serve_(std::move(serve)) {}
  std::optional<double> score(const RewardInput&) const override { return std::nullopt; }
  bool takes_feed() const override { return true; }
  void serve(TaskFeed& feed) const override { serve_(feed, abandoned_); }
  void abandon() const override { abandoned_ = true; }

 private:
  Serve serve_;
  mutable std::atomic<bool> abandoned_ = false;
};

inline RewardSet make_fed(Fed::Serve serve) {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<Made>(0, length_of));
  rewards.push_back(std::make_unique<Fed>(std::move(serve)));
  return RewardSet({{.name = "here"}, {.name = "fed"}}, std::move(rewards));
}

inline void wait_for_news(const TaskFeed& feed) {
  pollfd entry{feed.news(), POLLIN, 0};
  poll(&entry, 1, 30'000);
}

}  // namespace cohort
