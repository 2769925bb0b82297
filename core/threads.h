// A small pool of threads. Work is cut into tasks by the caller; which thread runs a task never changes a result.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

namespace cohort {

// A pass of the model hands work out a thousand times a second and more, so that is done without locks: threads spin for
// a while before they sleep, and a call waits for the tasks, not for the threads: one that the system has put aside
// holds up nobody.
class ThreadPool {
 public:
  // `threads` >= 1 counts the calling thread. Threads that the system refuses: exit code 6.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // From now on the calling thread runs on hardware thread cpus[0] only, and worker i on cpus[i]: size() numbers of the
  // system. What the calling thread starts later inherits its place. Where the system refuses, all stays as it is. The end of the
  // pool gives the calling thread back the places that it had, if it is the one that ends it.
  void pin(std::span<const int> cpus);

  // Runs body(task, thread) for each task in [0, tasks), thread in [0, size()), and returns when all are done; tasks < 2^32 - 1.
  // Tasks are claimed in order. The first exception is rethrown here, and tasks not yet begun are left out. Not
  // re-entrant: one caller at a time. `body` is a reference to a callable, so a call allocates nothing.
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
  void end();
  void claim(int thread);
  struct Place;

  std::vector<std::thread> workers_;
  std::unique_ptr<Place> before_;  // of the thread that called pin
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::atomic<bool> failed_{false}, stop_{false};

  // The call in progress. A thread may look at it late, when another call has begun: what it read counts only if it then
  // claims a task of the same call, so these are atomics too.
  std::atomic<Erased> body_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> tasks_{0};
  // On lines of their own: all threads write them.
  alignas(64) std::atomic<uint64_t> next_{0};  // number of the call << 32 | its next task
  alignas(64) std::atomic<uint32_t> left_{0};  // tasks that are not done
  alignas(64) std::atomic<uint32_t> call_{0};  // the same number, for threads to sleep on
};

}  // namespace cohort
