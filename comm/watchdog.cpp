#include "comm/watchdog.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <thread>

namespace cohort {
namespace {
using Clock = std::chrono::steady_clock;
}  // namespace

struct Watchdog::Impl {
  std::string who;
  std::function<void(const std::string&)> expired;

  std::mutex mutex;
  std::condition_variable changed;
  bool stop = false;
  std::string section;
  int64_t step = 0;
  std::chrono::milliseconds allowed{};
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

  void watch() {
    std::unique_lock lock(mutex);
    while (!stop) {
      if (deadline <= Clock::now()) {
        const std::string message =
            fmt::format("{}{}section {} exceeded {:.4g} s at step {}", who, who.empty() ? "" : ": ",
                        section, std::chrono::duration<double>(allowed).count(), step);
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

Watchdog::Watchdog(std::string who, std::function<void(const std::string&)> expired)
    : impl_(std::make_unique<Impl>()) {
  impl_->who = std::move(who);
  impl_->expired = std::move(expired);
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
  impl_->set_deadline(deadline.count() == 0 ? Clock::time_point::max() : Clock::now() + deadline);
}

void Watchdog::leave() {
  std::lock_guard lock(impl_->mutex);
  impl_->set_deadline(Clock::time_point::max());
}

}  // namespace cohort
