#include "reward/code/pool.h"

#include <sys/socket.h>

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

// Nothing when none was free in time; one without a socket when none can be made.
std::optional<WorkerHandle> SandboxPool::borrow(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return busy_ < workers_ || abandoned_; };
  if (deadline == Clock::time_point::max()) {  // which wait_until may overflow on
    freed_.wait(lock, ready);
  } else if (!freed_.wait_until(lock, deadline, ready)) {
    return std::nullopt;
  }
  if (abandoned_) return std::nullopt;
  ++busy_;
  WorkerHandle worker;
  if (idle_.empty()) {
    lock.unlock();
    worker = nursery_.make_worker(Clock::now() + kStartTime).value_or(WorkerHandle{});
    lock.lock();
  } else {
    worker = std::move(idle_.back());
    idle_.pop_back();
  }
  if (worker.socket) busy_sockets_.push_back(worker.socket.get());
  if (worker.socket && abandoned_) shutdown(worker.socket.get(), SHUT_RDWR);
  return worker;
}

// Only one that works is kept.
void SandboxPool::give_back(WorkerHandle worker, bool works) {
  {
    const std::lock_guard lock(mutex_);
    --busy_;
    std::erase(busy_sockets_, worker.socket.get());
    if (worker.socket && works) idle_.push_back(std::move(worker));
  }
  freed_.notify_one();
}

// A worker whose socket is closed on one side ends its run, and then itself.
void SandboxPool::abandon() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    for (const int fd : busy_sockets_) shutdown(fd, SHUT_RDWR);
  }
  freed_.notify_all();
}

SandboxResult SandboxPool::without_nursery() const {
  return broken(fmt::format("the process that starts programs (pid {}) is dead or silent, so no program can be run any more: stop, and "
                            "start again",
                            nursery_.pid()));
}

SandboxResult SandboxPool::attempt(const SandboxRequest& request, Clock::time_point last) {
  std::optional<WorkerHandle> borrowed = borrow(last);
  if (!borrowed) return broken(abandoned() ? "given up: the run is failing" : "all workers were busy until the deadline");
  WorkerHandle worker = std::move(*borrowed);
  SandboxResult result = broken("no process could be made to run programs");
  bool works = true;
  if (nursery_.dead()) result = without_nursery();
  if (worker.socket) {
    const double seconds =
        std::max(request.program.limits.seconds, request.checker ? request.checker->limits.seconds : 0.0);
    const auto deadline =
        std::min(last, Clock::now() + grace_ + std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds)));
    std::optional<std::string> answer;
    if (send_message(worker.socket.get(), encode(request), deadline))
      answer = receive_message(worker.socket.get(), deadline);
    auto decoded = answer ? decode_result(*answer) : std::nullopt;
    if (decoded) {
      result = std::move(*decoded);
    } else {
      result = broken(Clock::now() >= deadline ? "the process that runs programs did not answer in time"
                                               : "the process that runs programs died");
      works = false;
      nursery_.kill_worker(worker.pid);
    }
  }
  give_back(std::move(worker), works);
  return result;
}

bool SandboxPool::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

SandboxResult SandboxPool::run(const SandboxRequest& request, Clock::time_point deadline) {
  SandboxResult result = attempt(request, deadline);
  for (int tries = 1; tries < kAttempts && !result.error.empty() && !nursery_.dead() && !abandoned() && Clock::now() < deadline; ++tries) {
    {
      const std::lock_guard lock(mutex_);
      ++retries_;
    }
    result = attempt(request, deadline);
  }
  if (!result.error.empty() && nursery_.dead()) result = without_nursery();  // of which the first try saw no more than its worker's end
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

int SandboxPool::idle() const {
  const std::lock_guard lock(mutex_);
  return workers_ - busy_;
}

int64_t SandboxPool::retries() const {
  const std::lock_guard lock(mutex_);
  return retries_;
}

}  // namespace cohort
