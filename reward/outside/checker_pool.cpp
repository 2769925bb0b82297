#include "reward/outside/checker_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/check.h"

namespace cohort {
namespace {

constexpr auto kGoodbyeTime = std::chrono::seconds(2);
constexpr auto kFirstPause = std::chrono::milliseconds(250);  // before the second start in a row, doubled for each further one

void wait_for(std::vector<pollfd>& entries, Clock::time_point until) {
  int64_t left = 1000;
  if (until < Clock::now() + std::chrono::seconds(1))
    left = std::max<int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count());
  poll(entries.data(), entries.size(), static_cast<int>(left));
}

}  // namespace

// Some completions on some processes, until each has its verdict.
class CheckerBatch {
 public:
  CheckerBatch(CheckerPool& pool, std::span<const RewardInput> inputs, Clock::time_point last)
      : pool_(pool), inputs_(inputs), last_(last), verdicts_(inputs.size()), slots_(pool.borrow(inputs.size(), last)) {
    for (size_t i = inputs.size(); i-- > 0;) shared_.push_back(i);
  }
  ~CheckerBatch() { pool_.give_back(std::move(slots_), restarts_); }

  std::vector<OutsideVerdict> run() {
    while (left_ > 0) {
      if (slots_.empty() || Clock::now() >= last_) return leave();
      start_missing();
      for (CheckerPool::Slot& slot : slots_) {
        if (slot.checker) look_at(slot);
        if (slot.checker && slot.checker->ready()) hand_out(slot);
      }
      if (left_ > 0) wait();
    }
    return std::move(verdicts_);
  }

 private:
  using Slot = CheckerPool::Slot;
  struct Asked {
    size_t task;
    bool alone;
  };

  // Processes that were asked something are killed when they are given back.
  std::vector<OutsideVerdict> leave() {
    for (const auto& [id, asked] : asked_)
      settle(asked.task, {OutsideEnd::timeout, std::nullopt, "the checker did not answer by the completion's deadline"});
    for (const std::vector<size_t>* tasks : {&shared_, &alone_, &fresh_})
      for (const size_t task : *tasks)
        settle(task, {OutsideEnd::timeout, std::nullopt, "its turn did not come by the completion's deadline: the checkers were busy"});
    return std::move(verdicts_);
  }

  void start_missing() {
    for (Slot& slot : slots_)
      if (!slot.checker && Clock::now() >= slot.start_at)
        slot.checker = std::make_unique<Checker>(pool_.launcher_, pool_.settings_);
  }

  void look_at(Slot& slot) {
    std::vector<OutsideAnswer> answers;
    slot.checker->step(answers);
    for (OutsideAnswer& answer : answers) {
      const auto asked = asked_.find(*answer.id);
      settle(asked->second.task, std::move(answer.verdict));
      asked_.erase(asked);
    }
    if (slot.checker->broken()) replace(slot);
  }

  void settle(size_t task, OutsideVerdict verdict) {
    verdicts_[task] = std::move(verdict);
    --left_;
  }

  // Whose fault it was is known only where the process had nothing else to do, ever.
  void replace(Slot& slot) {
    const Checker& checker = *slot.checker;
    const bool proven = checker.asked() == 1;
    for (const int64_t id : checker.waiting()) {
      const size_t task = asked_.extract(id).mapped().task;
      if (proven)
        settle(task, {checker.timed_out() ? OutsideEnd::timeout : OutsideEnd::error, std::nullopt, checker.why()});
      else
        (checker.waiting().size() == 1 ? fresh_ : alone_).push_back(task);
    }
    ++restarts_;
    if (checker.asked() == 0) ++slot.failed_starts;
    const std::string why = checker.why();
    slot.start_at = Clock::now();
    slot.checker.reset();
    if (slot.failed_starts >= CheckerPool::kStarts)
      fail(ExitCode::kRankFailed, "a checker cannot be started again, tried {} times: {}", std::exchange(slot.failed_starts, 0), why);
    if (slot.failed_starts > 0) slot.start_at += kFirstPause * (1 << (slot.failed_starts - 1));
  }

  // For each task in fresh_ a process was replaced, and a new one takes such a task first: it cannot be forgotten.
  void hand_out(Slot& slot) {
    Checker& checker = *slot.checker;
    const auto give = [&](std::vector<size_t>& tasks, bool alone) {
      const int64_t id = pool_.take_id();
      asked_[id] = {tasks.back(), alone};
      checker.ask(id, inputs_[tasks.back()]);
      slot.failed_starts = 0;
      tasks.pop_back();
    };
    if (checker.waiting().empty()) {
      if (checker.asked() == 0 && !fresh_.empty()) return give(fresh_, true);
      if (!alone_.empty()) return give(alone_, true);
    } else if (asked_.at(checker.waiting().front()).alone) {
      return;
    }
    while (!shared_.empty() && std::ssize(checker.waiting()) < pool_.settings_.in_flight) give(shared_, false);
  }

  void wait() {
    std::vector<pollfd> entries;
    Clock::time_point until = last_;
    for (const Slot& slot : slots_) {
      if (slot.checker) slot.checker->add_to(entries);
      until = std::min(until, slot.checker ? slot.checker->deadline() : slot.start_at);
    }
    wait_for(entries, until);
  }

  CheckerPool& pool_;
  const std::span<const RewardInput> inputs_;
  const Clock::time_point last_;
  std::vector<OutsideVerdict> verdicts_;
  std::vector<Slot> slots_;
  std::vector<size_t> shared_, alone_, fresh_;  // to be asked: with others, alone, alone in a new process; the last one first
  std::map<int64_t, Asked> asked_;              // by id
  size_t left_ = inputs_.size();
  int64_t restarts_ = 0;
};

CheckerPool::CheckerPool(Launcher& launcher, CheckerSettings settings) : launcher_(launcher), settings_(std::move(settings)) {
  CHECK(settings_.workers >= 1 && settings_.in_flight >= 1, "a pool of {} checkers with {} requests each", settings_.workers,
        settings_.in_flight);
  free_.resize(static_cast<size_t>(settings_.workers));
  Slot& first = free_.back();  // the one that is borrowed first
  first.checker = std::make_unique<Checker>(launcher_, settings_);
  std::vector<OutsideAnswer> none;
  while (!first.checker->ready()) {
    first.checker->step(none);
    CHECK_USAGE(!first.checker->broken(), "{}", first.checker->why());
    std::vector<pollfd> entries;
    first.checker->add_to(entries);
    if (!first.checker->ready()) wait_for(entries, first.checker->deadline());
  }
}

CheckerPool::~CheckerPool() {
  for (Slot& slot : free_)
    if (slot.checker) slot.checker->say_goodbye();
  const Clock::time_point deadline = Clock::now() + kGoodbyeTime;
  for (Slot& slot : free_)
    if (slot.checker) slot.checker->finish(deadline);
}

std::vector<OutsideVerdict> CheckerPool::judge(std::span<const RewardInput> inputs, Clock::time_point last) {
  if (inputs.empty()) return {};
  return CheckerBatch(*this, inputs, last).run();
}

int64_t CheckerPool::restarts() const {
  const std::lock_guard lock(mutex_);
  return restarts_;
}

// At least one, at most `wanted`; those that have a process first. None if there is none before `last`.
std::vector<CheckerPool::Slot> CheckerPool::borrow(size_t wanted, Clock::time_point last) {
  std::unique_lock lock(mutex_);
  const auto any = [&] { return !free_.empty(); };
  if (last == Clock::time_point::max()) {
    freed_.wait(lock, any);
  } else if (!freed_.wait_until(lock, last, any)) {
    return {};
  }
  std::ranges::stable_partition(free_, [](const Slot& slot) { return slot.checker == nullptr; });
  const size_t count = std::min(wanted, free_.size());
  std::vector<Slot> slots(std::make_move_iterator(free_.end() - static_cast<ptrdiff_t>(count)),
                          std::make_move_iterator(free_.end()));
  free_.resize(free_.size() - count);
  return slots;
}

void CheckerPool::give_back(std::vector<Slot> slots, int64_t restarts) {
  // A process that was asked something that nobody waits for any more would answer into the next batch.
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
