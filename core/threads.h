// A small pool of threads. Work is cut into tasks by the caller; which thread runs a task never changes a result.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace cohort {

class ThreadPool {
 public:
  // `threads` >= 1 counts the calling thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // From now on the calling thread runs on hardware thread cpus[0] only, and worker i on cpus[i]: size() numbers of the
  // system. What the calling thread starts later inherits its place. Where the system refuses, all stays as it is.
  void pin(std::span<const int> cpus);

  // Runs body(task, thread) for each task in [0, tasks), thread in [0, size()), and returns when all are done.
  // Tasks are claimed in order. The first exception is rethrown here. Not re-entrant: one caller at a time.
  // `body` is a reference to a callable, so a call allocates nothing.
  template <typename Body>
  void run(int64_t tasks, Body&& body) {
    using Callable = std::remove_reference_t<Body>;
    run_erased(tasks, [](void* context, int64_t task, int thread) {
      (*static_cast<Callable*>(context))(task, thread);
    }, const_cast<void*>(static_cast<const void*>(&body)));
  }

 private:
  using Erased = void (*)(void* context, int64_t task, int thread);
  void run_erased(int64_t tasks, Erased body, void* context);
  void worker(int thread);
  void claim(int thread);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> busy_{0};
  bool stop_ = false;
  Erased body_ = nullptr;
  void* context_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_{0};
  std::exception_ptr error_;
};

}  // namespace cohort
