#include "cli/ticker.h"

#include <pthread.h>

#include <csignal>
#include <utility>

#include "core/unpin.h"

namespace cohort {

Ticker::Ticker(std::chrono::milliseconds interval, std::function<void()> tick) {
  // A thread begins with the mask of the one that starts it: signals are for those who know what to do with them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, interval, tick = std::move(tick)] {
    unpin_thread();
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, interval, [&] { return end_; })) {
      lock.unlock();
      tick();
      lock.lock();
    }
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Ticker::~Ticker() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

}  // namespace cohort
