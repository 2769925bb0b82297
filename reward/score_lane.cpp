#include "reward/score_lane.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "core/check.h"
#include "core/unpin.h"

namespace cohort {

ScoreLane::ScoreLane(const Reward& reward, Host host)
    : reward_(reward),
      host_(std::move(host)),
      most_threads_(reward.takes_feed() ? 1 : static_cast<size_t>(reward.workers())) {
  if (!reward.takes_feed()) return;
  news_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!news_) fail(ExitCode::kResources, "eventfd: {}", std::strerror(errno));
}

ScoreLane::~ScoreLane() { end(true); }

void ScoreLane::add(RewardTask task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  if (threads_.size() < most_threads_) start_thread();
  wake_.notify_one();
  ring();
}

void ScoreLane::start_thread() {
  try {
    threads_.emplace_back([this] {
      unpin_thread();
      reward_.takes_feed() ? serve() : work();
    });
  } catch (const std::system_error& error) {  // fewer do, but not none
    if (threads_.empty())
      fail(ExitCode::kResources, "no thread to score with: {}; are there limits on processes (ulimit -u)?", error.what());
  }
}

void ScoreLane::ring() const {
  if (news_) eventfd_write(news_.get(), 1);
}

// Those whose time is over get their verdict here.
std::optional<RewardTask> ScoreLane::next(std::unique_lock<std::mutex>& lock) {
  while (!abandoned_ && next_ < tasks_.size()) {
    RewardTask task = tasks_[next_++];
    if (Clock::now() < task.deadline) return task;
    lock.unlock();
    host_.put(task.id, host_.too_late(), 0);
    lock.lock();
  }
  return std::nullopt;
}

std::optional<RewardTask> ScoreLane::wait_for_task() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return next_ < tasks_.size() || ended_; });
    if (std::optional<RewardTask> task = next(lock)) return task;
    if (abandoned_ || (ended_ && next_ == tasks_.size())) return std::nullopt;
  }
}

void ScoreLane::work() {
  while (const std::optional<RewardTask> task = wait_for_task()) {
    const Clock::time_point start = Clock::now();
    try {
      host_.put(task->id, host_.judge(*task), seconds_since(start));
    } catch (...) {
      give_up();
    }
  }
}

void ScoreLane::give_up() {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
  host_.failed();
}

std::optional<RewardTask> ScoreLane::take() {
  std::unique_lock lock(mutex_);
  std::optional<RewardTask> task = next(lock);
  if (task) {
    taken_[task->id] = Clock::now();
  } else if (!ended_) {
    eventfd_t rung;
    eventfd_read(news_.get(), &rung);  // under the lock, so that no later task's is taken back
  }
  return task;
}

bool ScoreLane::over() {
  const std::lock_guard lock(mutex_);
  return abandoned_ || (ended_ && next_ == tasks_.size());
}

void ScoreLane::put(int64_t id, Verdict verdict) {
  Clock::time_point start;
  {
    const std::lock_guard lock(mutex_);
    start = taken_.extract(id).mapped();
  }
  if (verdict.score && !std::isfinite(*verdict.score))
    verdict = {std::nullopt, fmt::format("the score is {}", *verdict.score), Missing::error};
  host_.put(id, std::move(verdict), seconds_since(start));
}

void ScoreLane::serve() {
  while (true) {
    try {
      reward_.serve(*this);
      if (taken_.empty()) return;
      charge("it gave no verdict");
    } catch (const Error& error) {
      if (error.code() == ExitCode::kRankFailed) return give_up();  // it fails every completion
      charge(error.what());
    } catch (const std::bad_alloc&) {
      return give_up();  // the rank's memory is at its end, which is no completion's fault
    } catch (const std::exception& error) {
      charge(error.what());
    } catch (...) {
      charge("an unknown exception");
    }
    if (over()) return;
  }
}

// At least one completion, so that there is an end to it.
void ScoreLane::charge(const std::string& why) {
  std::vector<int64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, since] : taken_) ids.push_back(id);
  }
  if (ids.empty()) {
    const std::optional<RewardTask> task = wait_for_task();
    if (task) host_.put(task->id, {std::nullopt, why, Missing::error}, 0);
    return;
  }
  for (const int64_t id : ids) put(id, {std::nullopt, why, Missing::error});
}

void ScoreLane::abandon() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = abandoned_ = true;
  }
  wake_.notify_all();
  ring();
}

void ScoreLane::end(bool abandon_it) {
  if (abandon_it) abandon();
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  ring();
  threads_.clear();  // joins
}

void ScoreLane::finish() {
  end(false);
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace cohort
