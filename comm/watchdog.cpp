#include "comm/watchdog.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace cohort {
namespace {
using Clock = std::chrono::steady_clock;
constexpr auto kPatience = Watchdog::kPatience;
}  // namespace

struct Watchdog::Impl {
  std::string who;
  std::function<void(const std::string&)> expired;
  LastSeen* seen;

  std::mutex mutex;
  std::condition_variable changed;
  bool stop = false;
  std::string section;
  int64_t step = 0;
  std::chrono::milliseconds allowed{};
  bool patient = false;  // the deadline was put off
  Clock::time_point deadline = Clock::time_point::max();  // of the section; max: none
  Clock::time_point wakes = Clock::time_point::max();     // when the thread looks again by itself
  std::thread thread;                                     // last: it uses all of the above

  void set_deadline(Clock::time_point at) {
    deadline = at;
    // A later deadline needs no wake-up: the thread finds it when it looks. So entering the next
    // section costs no context switch.
    if (at < wakes) {
      wakes = at;
      changed.notify_one();
    }
  }

  bool in_collective() const {
    return seen != nullptr && seen->collective_deadline() != Clock::time_point::max();
  }

  void watch() {
    std::unique_lock lock(mutex);
    while (!stop) {
      const Clock::time_point now = Clock::now();
      const Clock::time_point collective = seen != nullptr ? seen->collective_deadline() : Clock::time_point::max();  // max(): in none
      if (deadline <= now && !patient && collective != Clock::time_point::max()) {
        patient = true;
        deadline = std::max(now, collective) + kPatience;
      } else if (deadline <= now) {
        std::string message =
            fmt::format("{}{}section {} exceeded {:.4g} s at step {}", who, who.empty() ? "" : ": ",
                        section, std::chrono::duration<double>(allowed).count(), step);
        if (in_collective()) message += fmt::format(", in {}", seen->collective());
        lock.unlock();
        expired(message);
        return;
      }
      wakes = deadline;
      if (wakes == Clock::time_point::max())
        changed.wait(lock);
      else
        changed.wait_until(lock, wakes);
    }
  }
};

Watchdog::Watchdog(std::string who, std::function<void(const std::string&)> expired, LastSeen* seen)
    : impl_(std::make_unique<Impl>()) {
  impl_->who = std::move(who);
  impl_->expired = std::move(expired);
  impl_->seen = seen;
  impl_->thread = std::thread([impl = impl_.get()] { impl->watch(); });
}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->changed.notify_one();
  impl_->thread.join();
}

void Watchdog::enter(const char* section, int64_t step, std::chrono::milliseconds deadline) {
  std::lock_guard lock(impl_->mutex);
  impl_->section = section;
  impl_->step = step;
  impl_->allowed = deadline;
  impl_->patient = false;
  const Clock::time_point at = deadline.count() == 0 ? Clock::time_point::max() : Clock::now() + deadline;
  impl_->set_deadline(at);
  if (impl_->seen != nullptr) impl_->seen->enter(section, step, at);
}

Watchdog::Last Watchdog::last() const {
  std::lock_guard lock(impl_->mutex);
  return {impl_->section, impl_->step};
}

LastSeen* Watchdog::seen() const { return impl_->seen; }

void Watchdog::leave() {
  std::lock_guard lock(impl_->mutex);
  impl_->set_deadline(Clock::time_point::max());
  if (impl_->seen != nullptr) impl_->seen->leave();
}

}  // namespace cohort
