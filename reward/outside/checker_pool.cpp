#include "reward/outside/checker_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "reward/outside/checker_service.h"

namespace cohort {
namespace {

constexpr auto kGoodbyeTime = std::chrono::seconds(2);
constexpr auto kLook = std::chrono::seconds(1);  // so often whoever waits looks whether the run is failing

}  // namespace

void poll_until(std::vector<pollfd>& entries, Clock::time_point until) {
  const Clock::time_point end = std::min(until, Clock::now() + kLook);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
  poll(entries.data(), entries.size(), static_cast<int>(std::max<int64_t>(0, left)));
}

CheckerPool::CheckerPool(Launcher& launcher, CheckerSettings settings) : launcher_(launcher), settings_(std::move(settings)) {
  CHECK(settings_.workers >= 1 && settings_.in_flight >= 1, "a pool of {} checkers with {} requests each", settings_.workers,
        settings_.in_flight);
  free_.resize(static_cast<size_t>(settings_.workers));
  Slot& first = free_.back();  // the one that is borrowed first
  first.checker = start();
  std::vector<OutsideAnswer> none;
  while (!first.checker->ready()) {
    first.checker->step(none);
    CHECK_USAGE(!first.checker->broken(), "{}", first.checker->why());
    std::vector<pollfd> entries;
    first.checker->add_to(entries);
    if (!first.checker->ready()) poll_until(entries, first.checker->deadline());
  }
}

CheckerPool::~CheckerPool() {
  for (Slot& slot : free_)
    if (slot.checker) slot.checker->say_goodbye();
  const Clock::time_point deadline = Clock::now() + kGoodbyeTime;
  for (Slot& slot : free_)
    if (slot.checker) slot.checker->finish(deadline);
}

void CheckerPool::serve(TaskFeed& feed) { CheckerService(*this, feed).run(); }

void CheckerPool::abandon() {
  abandoned_ = true;
  freed_.notify_all();
}

int64_t CheckerPool::restarts() const {
  const std::lock_guard lock(mutex_);
  return restarts_;
}

std::vector<CheckerPool::Slot> CheckerPool::borrow(size_t wanted) {
  const std::lock_guard lock(mutex_);
  std::stable_partition(free_.begin(), free_.end(), [](const Slot& slot) { return slot.checker == nullptr; });
  const auto count = static_cast<ptrdiff_t>(std::min(wanted, free_.size()));
  std::vector<Slot> slots(std::make_move_iterator(free_.end() - count), std::make_move_iterator(free_.end()));
  free_.resize(free_.size() - slots.size());
  return slots;
}

void CheckerPool::wait_for_free_slot(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  freed_.wait_until(lock, std::min(until, Clock::now() + kLook), [&] { return !free_.empty() || abandoned_; });
}

void CheckerPool::give_back(std::vector<Slot> slots, int64_t restarts) {
  // A process that was asked something that nobody waits for any more would answer into the next feed.
  for (Slot& slot : slots)
    if (slot.checker && (slot.checker->broken() || !slot.checker->waiting().empty())) slot.checker.reset();
  {
    const std::lock_guard lock(mutex_);
    restarts_ += restarts;
    for (Slot& slot : slots) free_.push_back(std::move(slot));
  }
  freed_.notify_all();
}

int64_t CheckerPool::take_id() {
  const std::lock_guard lock(mutex_);
  return next_id_++;
}

}  // namespace cohort
