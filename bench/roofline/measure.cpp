#include "bench/roofline/measure.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "bench/roofline/device_op.h"
#include "core/check.h"
#include "model/cuda/elementwise.h"
#include "model/cuda/platform/status.h"
#include "model/device.h"

namespace cohort::roofline {
namespace {

using cuda::check_status;

double attribute(cudaDeviceAttr which) {
  int value = 0;
  check_status(cudaDeviceGetAttribute(&value, which, 0), "ask the GPU for its properties");
  return value;
}

}  // namespace

struct Meter::Events {
  cudaEvent_t begin = nullptr, end = nullptr;
  Events() {
    check_status(cudaEventCreate(&begin), "create an event");
    check_status(cudaEventCreate(&end), "create an event");
  }
  ~Events() {
    (void)cudaEventDestroy(begin);
    (void)cudaEventDestroy(end);
  }
};

Meter::Meter(const MeasureOptions& options) : options_(options) {
  check_status(cudaSetDevice(0), "use the GPU");
  check_status(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "start a stream on the GPU");
  events_ = std::make_unique<Events>();
  strict_ = std::make_unique<cuda::Products>(Numerics::strict);
  fast_ = std::make_unique<cuda::Products>(Numerics::fast);
  cudaDeviceProp properties{};
  check_status(cudaGetDeviceProperties(&properties, 0), "ask the GPU for its properties");
  limits_.name = properties.name;
  limits_.multiprocessors = attribute(cudaDevAttrMultiProcessorCount);
  limits_.clock_ghz = attribute(cudaDevAttrClockRate) * 1e-6;
  limits_.l2_mb = attribute(cudaDevAttrL2CacheSize) * 1e-6;
  if (!options_.small) {
    flush_bytes_ = std::max(size_t{64} << 20, static_cast<size_t>(2e6 * limits_.l2_mb));
    check_status(cudaMalloc(&flush_, flush_bytes_), "take memory to empty the L2 cache with");
  }
  measure_limits();
}

Meter::~Meter() {
  (void)cudaStreamSynchronize(stream_);
  (void)cudaFree(flush_);
  events_.reset();
  fast_.reset(), strict_.reset();
  (void)cudaStreamDestroy(stream_);
}

double Meter::once_us(const std::function<void()>& run) {
  // While it is written the host gets ahead, so that the kernels of `run` wait for nothing but each other.
  if (flush_ != nullptr) check_status(cudaMemsetAsync(flush_, 0, flush_bytes_, stream_), "empty the L2 cache");
  check_status(cudaEventRecord(events_->begin, stream_), "record an event");
  run();
  check_status(cudaEventRecord(events_->end, stream_), "record an event");
  check_status(cudaEventSynchronize(events_->end), "wait for the GPU");
  float milliseconds = 0;
  check_status(cudaEventElapsedTime(&milliseconds, events_->begin, events_->end), "read an event");
  return 1e3 * milliseconds;
}

double Meter::median_us(const std::function<void()>& run, int repetitions) {
  if (!options_.small)
    for (int warm_up = 0; warm_up < 2; ++warm_up) once_us(run);
  std::vector<double> times;
  for (int i = 0; i < repetitions; ++i) times.push_back(once_us(run));
  std::ranges::nth_element(times, times.begin() + std::ssize(times) / 2);
  return std::max(1e-3, times[times.size() / 2] - events_us_);
}

void Meter::measure_limits() {
  DeviceMemory memory(stream_);
  const int repetitions = options_.small ? 1 : 9;
  // The smallest kernel: one number. Alone it takes what events and launch take; behind others, a launch.
  const Tensor one = memory.numbers(DType::f32, 1, 1), other = memory.zeros(DType::f32, 1, 1);
  const auto launches = [&](int count) {
    return median_us([&] { for (int i = 0; i < count; ++i) cuda::cast(other, one, stream_); }, repetitions);
  };
  const int many = options_.small ? 4 : 64;
  const double alone = launches(1);
  limits_.launch_us = std::max(1e-3, (launches(many) - alone) / (many - 1));
  events_us_ = std::max(0.0, alone - limits_.launch_us);

  const size_t bytes = options_.small ? size_t{1} << 16 : size_t{1} << 30;
  const Tensor from = memory.zeros(DType::f32, 1, static_cast<int64_t>(bytes / 4)), to = memory.zeros(DType::f32, 1, static_cast<int64_t>(bytes / 4));
  const double copy_us = median_us([&] { check_status(cudaMemcpyAsync(to.data, from.data, bytes, cudaMemcpyDeviceToDevice, stream_), "copy"); }, repetitions);
  limits_.memory_gb_s = 2e-3 * static_cast<double>(bytes) / copy_us;

  const int64_t n = options_.small ? 32 : 8192;
  const Tensor x = memory.numbers(DType::bf16, n, n), w = memory.numbers(DType::bf16, n, n), y = memory.zeros(DType::bf16, n, n);
  const double product_us = median_us([&] { cuda::matmul(y, x, w, *fast_, stream_); }, repetitions);
  limits_.bf16_tflops = 2e-6 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / product_us;
}

std::optional<Measured> Meter::measure(const Op& op, std::string& why) {
  if (seconds_since(start_) > options_.seconds) {
    why = fmt::format("{:.0f} seconds are over", options_.seconds);
    return std::nullopt;
  }
  try {
    const std::unique_ptr<DeviceOp> device = prepare(op, stream_, *strict_);
    Measured measured{.op = op, .bound = bound_of(work_of(op), limits_)};
    const double expected_s = 1e-6 * measured.bound.us;  // of the slow ones a few are enough
    const int repetitions = options_.small ? 1 : std::clamp(static_cast<int>(0.2 / expected_s), 5, options_.repetitions);
    measured.us = median_us([&] { device->run(*strict_); }, repetitions);
    const Sums sums = sums_of(work_of(op));
    if (sums.products > 0) measured.us_fast = median_us([&] { device->run(*fast_); }, repetitions);
    return measured;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kResources) throw;
    why = error.what();
    return std::nullopt;
  }
}

}  // namespace cohort::roofline
