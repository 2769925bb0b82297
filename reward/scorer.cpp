#include "reward/scorer.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "core/check.h"

namespace cohort {
namespace {

Verdict too_late(double timeout_s) {
  return {std::nullopt,
          fmt::format("its turn did not come within {} s of the completion: the reward's workers were busy with others", timeout_s),
          Missing::timeout};
}

}  // namespace

struct Scorer::Lane {
  Lane(Scorer& owner, size_t reward, int most_threads) : owner(owner), reward(reward), most_threads(most_threads) {}
  ~Lane() { end(true); }

  struct Item {
    int64_t index;
    Clock::time_point deadline;
  };

  void add(Item item) {
    {
      const std::lock_guard lock(mutex);
      items.push_back(item);
    }
    if (threads.size() < static_cast<size_t>(most_threads)) start_thread();
    wake.notify_one();
  }

  void start_thread() {
    try {
      threads.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {  // fewer do, but not none
      if (threads.empty())
        fail(ExitCode::kResources, "no thread to score with: {}; are there limits on processes (ulimit -u)?", error.what());
    }
  }

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [&] { return next < items.size() || ended; });
      if (abandoned || next == items.size()) return;
      const Item item = items[next++];
      lock.unlock();
      std::exception_ptr thrown;
      try {
        owner.judge(reward, item.index, item.deadline);
      } catch (...) {
        thrown = std::current_exception();
      }
      lock.lock();
      if (!thrown) continue;
      if (!failure) failure = thrown;
      abandoned = true;
    }
  }

  // Waits for the threads; `abandon`: for what they are at, else for all items.
  void end(bool abandon) {
    {
      const std::lock_guard lock(mutex);
      ended = true;
      abandoned = abandoned || abandon;
    }
    wake.notify_all();
    threads.clear();  // joins
  }

  Scorer& owner;
  const size_t reward;
  const int most_threads;
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Item> items;
  size_t next = 0;
  bool ended = false, abandoned = false;
  std::exception_ptr failure;  // the first; the others of the lane are left
  std::vector<std::jthread> threads;
};

Scorer::Scorer(const RewardSet& rewards, ThreadPool& pool, int64_t count, double timeout_s)
    : rewards_(rewards),
      pool_(pool),
      timeout_s_(timeout_s),
      inputs_(static_cast<size_t>(count)),
      added_(static_cast<size_t>(count)),
      verdicts_(static_cast<size_t>(count), std::vector<Verdict>(rewards.size())),
      seconds_(static_cast<size_t>(count), std::vector<double>(rewards.size())) {
  CHECK(timeout_s > 0 && timeout_s <= kNoTimeout, "a timeout of {} s, must be in (0, {}]", timeout_s, kNoTimeout);
  for (size_t r = 0; r < rewards.size(); ++r) {
    const int workers = rewards.reward(r).workers();
    if (workers == 0) {
      here_.push_back(r);
    } else {
      lanes_.push_back(std::make_unique<Lane>(*this, r, workers));
    }
  }
}

Scorer::~Scorer() {
  for (const auto& lane : lanes_) {  // all first, so that they end together
    const std::lock_guard lock(lane->mutex);
    lane->ended = lane->abandoned = true;
  }
}

Clock::time_point Scorer::deadline() const {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_s_));
}

void Scorer::judge(size_t reward, int64_t index, Clock::time_point deadline) {
  const auto at = static_cast<size_t>(index);
  const Clock::time_point start = Clock::now();
  verdicts_[at][reward] = start < deadline ? rewards_.verdict(reward, inputs_[at], deadline) : too_late(timeout_s_);
  seconds_[at][reward] = seconds_since(start);
}

void Scorer::add(int64_t index, const RewardInput& input) {
  const auto at = static_cast<size_t>(index);
  CHECK(index >= 0 && at < inputs_.size() && !added_[at], "completion {} of {} is added twice, or is not one", index,
        inputs_.size());
  inputs_[at] = input;
  added_[at] = true;
  ++added_count_;
  for (const auto& lane : lanes_) lane->add({index, deadline()});
}

Scores Scorer::finish() {
  CHECK(added_count_ == static_cast<int64_t>(inputs_.size()), "{} of {} completions were added", added_count_, inputs_.size());
  if (!here_.empty() && !inputs_.empty()) {
    const Clock::time_point end = deadline();
    pool_.run(static_cast<int64_t>(inputs_.size()), [&](int64_t index, int) {
      for (const size_t reward : here_) judge(reward, index, end);
    });
  }
  for (const auto& lane : lanes_) lane->end(false);
  for (const auto& lane : lanes_)
    if (lane->failure) std::rethrow_exception(lane->failure);
  Scores scores;
  scores.seconds.resize(rewards_.size());
  for (const std::vector<double>& row : seconds_)
    for (size_t r = 0; r < row.size(); ++r) scores.seconds[r] += row[r];
  for (const std::vector<Verdict>& row : verdicts_) scores.rows.push_back(rewards_.row(row));
  scores.verdicts = std::move(verdicts_);
  return scores;
}

}  // namespace cohort
