#include "reward/code/pool.h"

#include <algorithm>

#include "core/check.h"
#include "reward/code/wire.h"
#include "reward/code/worker.h"

namespace cohort {
namespace {

constexpr auto kStartTime = std::chrono::seconds(10);

SandboxResult broken(std::string why) {
  SandboxResult result;
  result.error = std::move(why);
  return result;
}

}  // namespace

SandboxPool::SandboxPool(Nursery& nursery, int workers, std::chrono::milliseconds grace)
    : nursery_(nursery), workers_(workers), grace_(grace) {
  CHECK(workers >= 1, "a pool of {} workers", workers);
}

WorkerHandle SandboxPool::borrow() {
  std::unique_lock lock(mutex_);
  freed_.wait(lock, [&] { return busy_ < workers_; });
  ++busy_;
  if (idle_.empty()) {
    lock.unlock();
    return nursery_.make_worker(Clock::now() + kStartTime).value_or(WorkerHandle{});
  }
  WorkerHandle worker = std::move(idle_.back());
  idle_.pop_back();
  return worker;
}

// One without a socket is not kept.
void SandboxPool::give_back(WorkerHandle worker) {
  {
    const std::lock_guard lock(mutex_);
    --busy_;
    if (worker.socket) idle_.push_back(std::move(worker));
  }
  freed_.notify_one();
}

SandboxResult SandboxPool::attempt(const SandboxRequest& request) {
  WorkerHandle worker = borrow();
  SandboxResult result = broken("no process could be made to run programs");
  if (worker.socket) {
    const double seconds =
        std::max(request.program.limits.seconds, request.checker ? request.checker->limits.seconds : 0.0);
    const auto deadline = Clock::now() + grace_ + std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds));
    std::optional<std::string> answer;
    if (send_message(worker.socket.get(), encode(request), deadline))
      answer = receive_message(worker.socket.get(), deadline);
    auto decoded = answer ? decode_result(*answer) : std::nullopt;
    if (decoded) {
      result = std::move(*decoded);
    } else {
      result = broken(Clock::now() >= deadline ? "the process that runs programs did not answer in time"
                                               : "the process that runs programs died");
      worker.socket.reset();
      nursery_.kill_worker(worker.pid);
    }
  }
  give_back(std::move(worker));
  return result;
}

SandboxResult SandboxPool::run(const SandboxRequest& request) {
  SandboxResult result = attempt(request);
  for (int tries = 1; tries < kAttempts && !result.error.empty(); ++tries) {
    {
      const std::lock_guard lock(mutex_);
      ++retries_;
    }
    result = attempt(request);
  }
  if (!result.error.empty()) {
    result.program = {};
    result.checker.reset();
  }
  return result;
}

std::vector<Means> SandboxPool::examine() {
  SandboxRequest request;
  request.program.command = {kExamineCommand};
  const SandboxResult result = run(request);
  CHECK_USAGE(result.error.empty(), "the sandbox cannot be examined: {}", result.error);
  return decode_means(result.program.out);
}

int64_t SandboxPool::retries() const {
  const std::lock_guard lock(mutex_);
  return retries_;
}

}  // namespace cohort
