// Pacer: how a rank waits that polls MPI, which has no call with a deadline.
#pragma once

#include <chrono>

namespace cohort {

// For a peer, which may be computing for minutes: sleep, and leave it the core. For data that flows: only give the core away to
// who wants it, because a sleeping rank would throttle what MPI moves when it is called.
enum class Pace { kSleep, kYield };

class Pacer {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Pacer(Pace pace) : pace_(pace) {}
  // Between two looks.
  void rest();

 private:
  Pace pace_;
  Clock::time_point start_ = Clock::now();
  std::chrono::microseconds sleep_{50};
};

}  // namespace cohort
