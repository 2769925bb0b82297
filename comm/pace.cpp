#include "comm/pace.h"

#include <sched.h>

#include <algorithm>
#include <thread>

namespace cohort {
namespace {

using namespace std::chrono_literals;

// Ranks on their own cores usually arrive within microseconds of each other: spin that long, then
// give the core away, then sleep. The sleeps bound what a late rank pays: at most 200 us.
constexpr std::chrono::microseconds kSpin = 20us, kYield = 500us, kLongestSleep = 200us;

}  // namespace

void Pacer::rest() {
  const auto waited = Clock::now() - start_;
  if (waited < kSpin) return;
  if (pace_ == Pace::kYield || waited < kYield) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(sleep_);
    sleep_ = std::min(2 * sleep_, kLongestSleep);
  }
}

}  // namespace cohort
