// The trainer's side: runs requests on up to so many workers at a time, whatever becomes of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "reward/code/means.h"
#include "reward/code/nursery.h"
#include "reward/code/sandbox.h"

namespace cohort {

// Thread-safe.
class SandboxPool {
 public:
  // `workers` >= 1; they are made when they are first needed. The nursery outlives the pool. `grace`: how much longer
  // than a request's own seconds a worker may take, to set up, to end a tree, to send files, on a machine that is busy
  // with training.
  SandboxPool(Nursery& nursery, int workers, std::chrono::milliseconds grace = std::chrono::seconds(20));

  // Returns within the request's seconds and some more: a worker that dies or hangs is replaced and the request tried
  // again, kAttempts times in all; then the result says infra_error. Waits while all workers are busy. At `deadline` the
  // request is given up, wherever it is: infra_error too.
  SandboxResult run(const SandboxRequest& request, Clock::time_point deadline = Clock::time_point::max());
  static constexpr int kAttempts = 3;

  // What the machine offers, as a worker finds it. Throws (exit code 2) when no worker answers.
  std::vector<Means> examine();

  // Nobody waits for results any more: runs in progress end as infra_error at once, later ones are not begun.
  void abandon();

  int workers() const { return workers_; }
  int idle() const;  // workers that nobody has at this moment
  int64_t retries() const;  // so far

 private:
  std::optional<WorkerHandle> borrow(Clock::time_point deadline);
  void give_back(WorkerHandle worker, bool works);
  SandboxResult without_nursery() const;
  bool abandoned() const;
  SandboxResult attempt(const SandboxRequest& request, Clock::time_point deadline);

  Nursery& nursery_;
  const int workers_;
  const std::chrono::milliseconds grace_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<WorkerHandle> idle_;
  int busy_ = 0;
  std::vector<int> busy_sockets_;
  bool abandoned_ = false;
  int64_t retries_ = 0;
};

}  // namespace cohort
