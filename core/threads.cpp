#include "core/threads.h"

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

#include <utility>

#include "core/check.h"

namespace cohort {
namespace {
// The step loop calls the pool hundreds of times a millisecond-scale pass; waiting by spinning this long before
// sleeping keeps the hand-over near a microsecond.
constexpr int kSpins = 4000;
}  // namespace

ThreadPool::ThreadPool(int threads) {
  CHECK(threads >= 1, "a thread pool needs at least one thread, got {}", threads);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { worker(i); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    ++generation_;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::pin(std::span<const int> cpus) {
  CHECK(static_cast<int>(cpus.size()) == size(), "{} places for {} threads", cpus.size(), size());
  const auto place = [](pthread_t thread, int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    pthread_setaffinity_np(thread, sizeof set, &set);
  };
  place(pthread_self(), cpus[0]);
  for (size_t i = 0; i < workers_.size(); ++i) place(workers_[i].native_handle(), cpus[i + 1]);
}

void ThreadPool::claim(int thread) {
  for (int64_t task = next_.fetch_add(1); task < tasks_; task = next_.fetch_add(1)) {
    try {
      body_(context_, task, thread);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      next_ = tasks_;
    }
  }
}

void ThreadPool::run_erased(int64_t tasks, Erased body, void* context) {
  if (workers_.empty() || tasks <= 1) {
    for (int64_t task = 0; task < tasks; ++task) body(context, task, 0);
    return;
  }
  {
    std::lock_guard lock(mutex_);
    body_ = body;
    context_ = context;
    tasks_ = tasks;
    next_ = 0;
    busy_ = static_cast<int>(workers_.size());
    ++generation_;
  }
  wake_.notify_all();
  claim(0);
  for (int spin = 0; spin < kSpins && busy_ > 0; ++spin) _mm_pause();
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::worker(int thread) {
  uint64_t seen = 0;
  while (true) {
    for (int spin = 0; spin < kSpins && generation_ == seen; ++spin) _mm_pause();
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (stop_) return;
    }
    claim(thread);
    std::lock_guard lock(mutex_);
    if (--busy_ == 0) done_.notify_one();
  }
}

}  // namespace cohort
