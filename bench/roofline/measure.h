// Times of ops on the device that is there, and its own limits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/roofline/limits.h"
#include "bench/roofline/op.h"
#include "bench/roofline/steps.h"
#include "core/clock.h"
#include "model/cuda/matmul.h"
#include "model/cuda/stream.h"

namespace cohort::roofline {

struct MeasureOptions {
  int repetitions = 20;  // of each op, after two that do not count
  bool small = false;    // for the emulator: limits of small sizes, the L2 cache as it is
  double seconds = 1e9;  // later ops are left out
};

struct Measured {
  Op op;
  double us = 0;                  // median; strict numerics
  std::optional<double> us_fast;  // of ops with products: with the library's own choice (Numerics::fast)
  Bound bound;
  double share() const { return us > 0 ? bound.us / us : 0; }
};

class Meter {
 public:
  explicit Meter(const MeasureOptions& options);
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  // The device's name, multiprocessors, clock and L2 cache as it tells; copy bandwidth, a large product and launches as measured.
  const Limits& limits() const { return limits_; }
  // Nothing when the time is over, or the device has too little memory (for which `why` says what).
  std::optional<Measured> measure(const Op& op, std::string& why);

  cuda::Stream stream() const { return stream_; }
  cuda::Products& strict() { return *strict_; }

 private:
  struct Events;
  double once_us(const std::function<void()>& run);
  double median_us(const std::function<void()>& run, int repetitions);
  void measure_limits();

  MeasureOptions options_;
  Clock::time_point start_ = Clock::now();
  cuda::Stream stream_ = nullptr;
  std::unique_ptr<Events> events_;
  std::unique_ptr<cuda::Products> strict_, fast_;
  Limits limits_{};
  double events_us_ = 0;  // what a pair of events takes beside the kernels between them
  void* flush_ = nullptr;  // as large as twice the L2 cache: written before each measurement, so that inputs come from memory
  size_t flush_bytes_ = 0;
};

}  // namespace cohort::roofline
