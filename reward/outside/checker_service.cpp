#include "reward/outside/checker_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace cohort {
namespace {

constexpr auto kFirstPause = std::chrono::milliseconds(250);  // before the second start in a row, doubled for each further one

int64_t take_first(std::vector<int64_t>& tasks) {
  const int64_t first = tasks.front();
  tasks.erase(tasks.begin());
  return first;
}

}  // namespace

void CheckerService::run() {
  while (true) {
    if (pool_.abandoned()) return give_up_all();
    take_tasks();
    expire();
    if (tasks_.empty() && feed_.over()) return;
    get_slots();
    start_missing();
    for (Slot& slot : slots_)
      if (slot.checker) look_at(slot);
    // One each at a time, so that no process waits while another has a queue.
    for (bool gave = true; gave;) {
      gave = false;
      for (Slot& slot : slots_) gave = (slot.checker && slot.checker->ready() && hand_out(slot)) || gave;
    }
    wait();
  }
}

// What is not taken waits in the feed, for whoever has room first.
bool CheckerService::has_room() const {
  return std::ssize(tasks_) < pool_.settings().workers * pool_.settings().in_flight;
}

void CheckerService::take_tasks() {
  while (has_room()) {
    std::optional<RewardTask> task = feed_.take();
    if (!task) return;
    shared_.push_back(task->id);
    tasks_.emplace(task->id, std::move(*task));
  }
}

void CheckerService::give_up_all() {
  while (!tasks_.empty()) settle(tasks_.begin()->first, {OutsideEnd::error, std::nullopt, "given up: the run is failing"});
  while (const std::optional<RewardTask> task = feed_.take()) feed_.put(task->id, {std::nullopt, "given up: the run is failing", Missing::error});
}

void CheckerService::expire() {
  const Clock::time_point now = Clock::now();
  const auto late = [&](int64_t task) { return tasks_.at(task).deadline <= now; };
  for (std::vector<int64_t>* waiting : {&shared_, &alone_, &fresh_}) {
    const auto gone = std::stable_partition(waiting->begin(), waiting->end(), [&](int64_t task) { return !late(task); });
    for (auto task = gone; task != waiting->end(); ++task)
      settle(*task, {OutsideEnd::timeout, std::nullopt, "its turn did not come by the completion's deadline: the checkers were busy"});
    waiting->erase(gone, waiting->end());
  }
  for (Slot& slot : slots_)
    if (slot.checker && std::ranges::any_of(slot.checker->waiting(), [&](int64_t id) { return late(asked_.at(id).task); }))
      expire_asked(slot, now);
}

// The process would answer when nobody waits for it any more. What else it had is asked again.
void CheckerService::expire_asked(Slot& slot, Clock::time_point now) {
  for (const int64_t id : slot.checker->waiting()) {
    const int64_t task = asked_.at(id).task;
    if (tasks_.at(task).deadline <= now)
      settle(task, {OutsideEnd::timeout, std::nullopt, "the checker did not answer by the completion's deadline"});
  }
  ask_again(*slot.checker);
  ++restarts_;
  slot.checker.reset();
  slot.start_at = now;
}

void CheckerService::get_slots() {
  const size_t wanted = std::min(tasks_.size(), static_cast<size_t>(pool_.settings().workers));
  if (slots_.size() >= wanted) return;
  for (Slot& slot : pool_.borrow(wanted - slots_.size())) slots_.push_back(std::move(slot));
}

// A process for each completion, as far as there are places, and a new one for each that must have a new one.
size_t CheckerService::starts_needed() const {
  size_t there = 0, fresh = 0;
  for (const Slot& slot : slots_)
    if (slot.checker) ++there, fresh += slot.checker->asked() == 0;
  const size_t wanted = std::min(tasks_.size(), slots_.size());
  return std::max(wanted - std::min(wanted, there), fresh_.size() - std::min(fresh_.size(), fresh));
}

void CheckerService::start_missing() {
  size_t needed = starts_needed();
  for (Slot& slot : slots_) {
    if (needed == 0 || slot.checker) continue;
    --needed;
    if (Clock::now() >= slot.start_at) slot.checker = pool_.start();
  }
}

void CheckerService::look_at(Slot& slot) {
  std::vector<OutsideAnswer> answers;
  slot.checker->step(answers);
  for (OutsideAnswer& answer : answers) {
    const int64_t task = asked_.extract(*answer.id).mapped().task;
    settle(task, std::move(answer.verdict));
  }
  if (slot.checker->broken()) replace(slot);
}

void CheckerService::settle(int64_t task, OutsideVerdict verdict) {
  tasks_.erase(task);
  feed_.put(task, to_verdict(std::move(verdict)));
}

// What a process that is gone had and nobody answered.
void CheckerService::ask_again(const Checker& checker) {
  for (const int64_t id : checker.waiting()) {
    const int64_t task = asked_.extract(id).mapped().task;
    if (tasks_.contains(task)) (checker.waiting().size() == 1 ? fresh_ : alone_).push_back(task);
  }
}

// Whose fault it was is known only where the process had nothing else to do, ever.
void CheckerService::replace(Slot& slot) {
  const Checker& checker = *slot.checker;
  if (checker.asked() == 1)
    for (const int64_t id : checker.waiting())
      settle(asked_.at(id).task, {checker.timed_out() ? OutsideEnd::timeout : OutsideEnd::error, std::nullopt, checker.why()});
  ask_again(checker);
  ++restarts_;
  if (checker.asked() == 0) ++slot.failed_starts;
  const std::string why = checker.why();
  slot.start_at = Clock::now();
  slot.checker.reset();
  if (slot.failed_starts >= CheckerPool::kStarts)
    fail(ExitCode::kRankFailed, "a checker cannot be started again, tried {} times: {}", std::exchange(slot.failed_starts, 0), why);
  if (slot.failed_starts > 0) slot.start_at += kFirstPause * (1 << (slot.failed_starts - 1));
}

// For each task in fresh_ a process was replaced, and a new one takes such a task first: it cannot be forgotten. Returns whether
// there was something for it.
bool CheckerService::hand_out(Slot& slot) {
  Checker& checker = *slot.checker;
  const auto give = [&](std::vector<int64_t>& tasks, bool alone) {
    const int64_t task = take_first(tasks), id = pool_.take_id();
    asked_[id] = {task, alone};
    checker.ask(id, tasks_.at(task).input);
    slot.failed_starts = 0;
    return true;
  };
  if (checker.waiting().empty()) {
    if (checker.asked() == 0 && !fresh_.empty()) return give(fresh_, true);
    if (!alone_.empty()) return give(alone_, true);
  } else if (asked_.at(checker.waiting().front()).alone) {
    return false;
  }
  if (shared_.empty() || std::ssize(checker.waiting()) >= pool_.settings().in_flight) return false;
  return give(shared_, false);
}

void CheckerService::wait() {
  const bool listens = has_room() && !feed_.over();
  if ((tasks_.empty() && feed_.over()) || (listens && feed_.news() < 0)) return;
  Clock::time_point until = Clock::time_point::max();
  for (const auto& [id, task] : tasks_) until = std::min(until, task.deadline);
  if (slots_.empty() && !tasks_.empty()) return pool_.wait_for_free_slot(until);
  std::vector<pollfd> entries;
  size_t needed = starts_needed();
  for (const Slot& slot : slots_) {
    if (slot.checker) {
      slot.checker->add_to(entries);
      until = std::min(until, slot.checker->deadline());
    } else if (needed > 0) {
      --needed;
      until = std::min(until, slot.start_at);
    }
  }
  if (listens) entries.push_back({feed_.news(), POLLIN, 0});
  poll_until(entries, until);
}

}  // namespace cohort
