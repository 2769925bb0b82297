#include "core/threads.h"

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

#include <system_error>
#include <utility>

#include "core/check.h"

namespace cohort {
namespace {

// Tens of microseconds: longer than the caller needs between two calls, shorter than anybody would notice.
constexpr int kSpins = 4000;

// Returns when done() or after a while.
template <typename Done>
void spin_until(const Done& done) {
  for (int spin = 0; spin < kSpins && !done(); ++spin) _mm_pause();
}

constexpr uint64_t kNoTask = 0xFFFFFFFF;
uint64_t ticket_of(uint32_t call, uint64_t task) { return static_cast<uint64_t>(call) << 32 | task; }
int64_t task_of(uint64_t ticket) { return static_cast<int64_t>(ticket & kNoTask); }

}  // namespace

struct ThreadPool::Place {
  pthread_t thread = pthread_self();
  cpu_set_t cpus;
};

ThreadPool::ThreadPool(int threads) {
  CHECK(threads >= 1, "a thread pool needs at least one thread, got {}", threads);
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { worker(i); });
  } catch (const std::system_error& error) {
    const size_t begun = workers_.size() + 1;
    end();
    fail(ExitCode::kResources, "{} threads: the system gives no more than {} ({}); lower run.threads or --threads", threads, begun,
         error.what());
  }
}

ThreadPool::~ThreadPool() { end(); }

void ThreadPool::end() {
  stop_ = true;
  ++call_;
  call_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  // A pool that comes after this one asks what its thread may use.
  if (before_ && pthread_equal(before_->thread, pthread_self())) pthread_setaffinity_np(before_->thread, sizeof before_->cpus, &before_->cpus);
  before_.reset();
}

void ThreadPool::pin(std::span<const int> cpus) {
  CHECK(static_cast<int>(cpus.size()) == size(), "{} places for {} threads", cpus.size(), size());
  if (!before_) {
    auto before = std::make_unique<Place>();
    if (pthread_getaffinity_np(before->thread, sizeof before->cpus, &before->cpus) == 0) before_ = std::move(before);
  }
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
  uint64_t ticket = next_.load(std::memory_order_acquire);
  while (true) {
    // Of the ticket's call or, if that is over, of a later one.
    const Erased body = body_.load(std::memory_order_acquire);
    void* const context = context_.load(std::memory_order_acquire);
    if (task_of(ticket) >= tasks_.load(std::memory_order_acquire)) return;
    // Succeeds only while the ticket's call has this task to give, and then it is not over before the task is done.
    if (!next_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    try {
      if (!failed_.load(std::memory_order_relaxed)) body(context, task_of(ticket), thread);
    } catch (...) {
      std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
      failed_ = true;
    }
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_one();
    ticket = next_.load(std::memory_order_acquire);
  }
}

void ThreadPool::run_erased(int64_t tasks, Erased body, void* context) {
  if (workers_.empty() || tasks <= 1) {
    for (int64_t task = 0; task < tasks; ++task) body(context, task, 0);
    return;
  }
  CHECK(tasks < static_cast<int64_t>(kNoTask), "{} tasks in one call", tasks);
  const uint32_t call = call_.load(std::memory_order_relaxed) + 1;
  // First, so that whoever still holds a ticket of the last call and sees anything of this one cannot claim with it.
  next_.store(ticket_of(call, kNoTask), std::memory_order_relaxed);
  body_.store(body, std::memory_order_release);
  context_.store(context, std::memory_order_release);
  tasks_.store(tasks, std::memory_order_release);
  left_.store(static_cast<uint32_t>(tasks), std::memory_order_release);
  next_.store(ticket_of(call, 0), std::memory_order_release);
  call_.exchange(call);  // a full fence: notify_all looks for sleepers only after it
  call_.notify_all();
  claim(0);
  spin_until([&] { return left_.load(std::memory_order_acquire) == 0; });
  for (uint32_t left; (left = left_.load(std::memory_order_acquire)) != 0;) left_.wait(left, std::memory_order_acquire);
  if (!failed_.load(std::memory_order_relaxed)) return;
  failed_ = false;
  std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::worker(int thread) {
  uint32_t seen = 0;
  while (true) {
    spin_until([&] { return call_.load(std::memory_order_acquire) != seen; });
    call_.wait(seen, std::memory_order_acquire);
    seen = call_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_acquire)) return;
    claim(thread);
  }
}

}  // namespace cohort
