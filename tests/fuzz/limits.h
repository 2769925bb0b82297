// What every parser of hostile text keeps to: 50 ms and 64 MB for one input.
#pragma once

#include <cstdlib>
#include <ctime>

#include "tests/fuzz/counted_memory.h"

// Aborts when what happened in its life took more of the processor's time. AddressSanitizer costs up to ten times the time, so under
// clang, which fuzzes, ten times as much is allowed; replay_main.cpp, built without it, holds what was found to the limit itself.
class FuzzLimits {
 public:
  static constexpr size_t kMaxBytes = size_t{64} << 20;
  static constexpr double kMaxSeconds = 0.05;
#ifdef __clang__
  static constexpr double kSlower = 10;
#else
  static constexpr double kSlower = 1;
#endif
  FuzzLimits() { CountedMemory::peak = held_; }
  ~FuzzLimits() {
    if (static_cast<double>(std::clock() - start_) > kSlower * kMaxSeconds * CLOCKS_PER_SEC) std::abort();
    if (CountedMemory::peak - held_ > kMaxBytes) std::abort();
  }
  FuzzLimits(const FuzzLimits&) = delete;
  FuzzLimits& operator=(const FuzzLimits&) = delete;

 private:
  const size_t held_ = CountedMemory::held;
  const std::clock_t start_ = std::clock();
};
