#include "trainer/overlap.h"

#include <system_error>
#include <utility>

#include "core/check.h"
#include "core/unpin.h"
#include "model/policy_copy.h"

namespace cohort {
namespace {

std::thread start_thread(std::function<void()> body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& error) {
    fail(ExitCode::kResources, "rollout.staleness 1: the system gives no further thread, to sample beside training ({}); use rollout.staleness: 0",
         error.what());
  }
}

}  // namespace

Overlap::Overlap(const Policy& policy, const Exec& ex) : whole_(ex), copy_(make_policy_copy(policy)) {
  copy_policy(*copy_, policy, ex);
  const int threads = ex.pool->size();
  // Threads inherit the place of who starts them, and that of the calling thread is one core: they are started by one that has none.
  std::exception_ptr error;
  start_thread([&] {
    unpin_thread();
    try {
      sampling_owner_.emplace(sampling_threads(threads));
      training_pool_ = std::make_unique<ThreadPool>(training_threads(threads));
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
  sampling_ = sampling_owner_->exec();  // without a trace, which is of one thread
}

Overlap::~Overlap() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

bool Overlap::busy() const {
  const std::lock_guard lock(mutex_);
  return !done_;
}

Exec Overlap::training() const {
  Exec ex = whole_;
  if (busy()) ex.pool = training_pool_.get();
  return ex;
}

void Overlap::begin(const Policy& policy, Work work) {
  CHECK(!begun(), "sampling begins while sampling is under way");
  copy_policy(*copy_, policy, whole_);
  stage_ = Stage::sampling, done_ = false, error_ = nullptr;
  thread_ = start_thread([this, work = std::move(work)] {
    unpin_thread();
    std::exception_ptr error;
    try {
      work(
          [this](Stage stage) {
            const std::lock_guard lock(mutex_);
            stage_ = stage;
            changed_.notify_all();
          },
          [this] {
            const std::lock_guard lock(mutex_);
            return cancelled_;
          });
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    error_ = error, done_ = true;
    changed_.notify_all();
  });
}

void Overlap::wait(const std::function<void(Stage)>& waiting) {
  if (!begun()) return;
  std::unique_lock lock(mutex_);
  while (!done_) {
    const Stage at = stage_;
    lock.unlock();
    waiting(at);
    lock.lock();
    changed_.wait(lock, [&] { return done_ || stage_ != at; });
  }
  lock.unlock();
  thread_.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

}  // namespace cohort
