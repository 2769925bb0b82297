// Streams, events and copies: what is in order, what is not, and what the host may look at when.
#include <cuda_runtime.h>

#include "tests/emulated/gpu_test.h"
#include "tests/emulated/test_kernels.h"

namespace cohort {
namespace {

class Streams : public GpuOps {
 protected:
  Streams() {
    cuda::check_status(cudaStreamCreateWithFlags(&other_, cudaStreamNonBlocking), "create a stream");
    cuda::check_status(cudaMallocHost(reinterpret_cast<void**>(&pinned_), sizeof(float)), "allocate pinned memory");
    cuda::check_status(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "create an event");
  }
  ~Streams() override {
    emulated::set_settings({});
    EXPECT_EQ(cudaEventDestroy(event_), cudaSuccess);
    EXPECT_EQ(cudaFreeHost(pinned_), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(other_), cudaSuccess);
  }
  // Adds 1 to zero on one stream and copies the result to the host on another: how many of 20 random orders are wrong.
  int wrong_results(bool with_event) {
    int wrong = 0;
    const Matrix zero(DType::f32, 1, 1);
    for (int seed = 0; seed < 20; ++seed) {
      const DeviceMatrix x(zero), y(zero);
      emulated::set_settings(emulated::parse_settings("streams=random:" + std::to_string(seed)));
      cuda::add_number(y.t().f32(), x.t().f32(), 1, 1, stream_);
      EXPECT_EQ(cudaEventRecord(event_, stream_), cudaSuccess);
      if (with_event) {
        EXPECT_EQ(cudaStreamWaitEvent(other_, event_, 0), cudaSuccess);
      }
      EXPECT_EQ(cudaMemcpyAsync(pinned_, y.t().data, sizeof(float), cudaMemcpyDeviceToHost, other_), cudaSuccess);
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
      wrong += *pinned_ != 1;
    }
    return wrong;
  }

  cudaStream_t other_ = nullptr;
  cudaEvent_t event_ = nullptr;
  float* pinned_ = nullptr;
};

TEST_F(Streams, AMissingEventIsNoticed) {
  EXPECT_GT(wrong_results(false), 0);
  EXPECT_EQ(wrong_results(true), 0);
}

TEST_F(Streams, ALazyCopyIsNotThereBeforeTheHostWaited) {
  emulated::set_settings(emulated::parse_settings("streams=lazy"));
  const DeviceMatrix x(Matrix(DType::f32, 1, 1)), y(DType::f32, 1, 1);
  *pinned_ = -1;
  cuda::add_number(y.t().f32(), x.t().f32(), 2, 1, stream_);
  ASSERT_EQ(cudaMemcpyAsync(pinned_, y.t().data, sizeof(float), cudaMemcpyDeviceToHost, stream_), cudaSuccess);
  EXPECT_EQ(*pinned_, -1);
  synchronize();
  EXPECT_EQ(*pinned_, 2);
}

TEST_F(Streams, ACopyToPageableMemoryWaitsAndOneFromItIsTakenAtOnce) {
  emulated::set_settings(emulated::parse_settings("streams=lazy"));
  const DeviceMatrix x(DType::f32, 1, 1);
  float from = 3, to = -1;
  ASSERT_EQ(cudaMemcpyAsync(x.t().data, &from, sizeof(float), cudaMemcpyHostToDevice, stream_), cudaSuccess);
  from = 4;
  ASSERT_EQ(cudaMemcpyAsync(&to, x.t().data, sizeof(float), cudaMemcpyDeviceToHost, stream_), cudaSuccess);
  EXPECT_EQ(to, 3);
}

// A program that leans on what CUDA need not do computes with what is there by then.
TEST_F(Streams, WithoutImplicitWaitsNeitherCopiesNorFreeingWait) {
  emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));
  const DeviceMatrix x(DType::f32, 1, 1);
  float from = 3, to = -1;
  ASSERT_EQ(cudaMemcpyAsync(x.t().data, &from, sizeof(float), cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(&to, x.t().data, sizeof(float), cudaMemcpyDeviceToHost, stream_), cudaSuccess);
  EXPECT_EQ(to, -1);
  synchronize();
  EXPECT_EQ(to, 3);
  float *freed = nullptr, *source = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&freed), sizeof(float)), cudaSuccess);
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&source), sizeof(float)), cudaSuccess);
  *source = 5;
  if (!is_flavour("asan")) {  // which stops it
    ASSERT_EQ(cudaMemcpyAsync(x.t().data, source, sizeof(float), cudaMemcpyHostToDevice, stream_), cudaSuccess);
  }
  EXPECT_EQ(cudaFreeHost(source), cudaSuccess);
  synchronize();
  if (!is_flavour("asan")) {
    EXPECT_TRUE(std::isnan(x.host().get(0)));
  }
  EXPECT_EQ(cudaFree(freed), cudaSuccess);
  EXPECT_EQ(cudaFree(freed), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(source), cudaErrorInvalidValue);
}

TEST_F(Streams, QueriesGetThereWithoutWaiting) {
  emulated::set_settings(emulated::parse_settings("streams=lazy"));
  const DeviceMatrix x(Matrix(DType::f32, 1, 1)), y(DType::f32, 1, 1);
  for (int i = 0; i < 5; ++i) cuda::add_number(y.t().f32(), x.t().f32(), 1, 1, stream_);
  ASSERT_EQ(cudaEventRecord(event_, stream_), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(event_), cudaErrorNotReady);
  int asked = 0;
  while (cudaEventQuery(event_) == cudaErrorNotReady) ASSERT_LT(++asked, 10);
  EXPECT_EQ(cudaStreamQuery(stream_), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "not ready is no error";
}

TEST_F(Streams, CopiesOfTheWrongKindOrSizeAreRefused) {
  const DeviceMatrix x(DType::f32, 1, 4), y(DType::f32, 1, 8);
  float host[8] = {};
  EXPECT_EQ(cudaMemcpyAsync(x.t().data, host, 4, cudaMemcpyDeviceToHost, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(host, host, 4, cudaMemcpyDeviceToHost, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(x.t().data, y.t().data, 32, cudaMemcpyDeviceToDevice, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(x.t().data, 0, 17, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "asked once, it is gone";
}

TEST_F(Streams, NewMemoryIsNaN) {
  const DeviceMatrix x(DType::f32, 1, 3), half(DType::bf16, 1, 3);
  for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(x.host().get(i)) && std::isnan(half.host().get(i)));
}

using StreamsDeathTest = Streams;

TEST_F(StreamsDeathTest, FreedMemoryThatIsWrittenIsNoticedWithoutImplicitWaits) {
  const auto write_too_late = [&](bool pinned) {
    emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));
    const DeviceMatrix x(Matrix(DType::f32, 1, 64)), y(DType::f32, 1, 64);
    if (pinned) {
      (void)cudaMemcpyAsync(pinned_, x.t().data, sizeof(float), cudaMemcpyDeviceToHost, stream_);
      (void)cudaFreeHost(pinned_);
    } else {
      cuda::add_number(y.t().f32(), x.t().f32(), 1, 64, stream_);
      (void)cudaFree(y.t().data);
    }
    emulated::set_settings({});
  };
  for (const bool pinned : {false, true})
    EXPECT_DEATH(write_too_late(pinned), "was written after the memory had been freed|use-after-poison");
}

TEST_F(StreamsDeathTest, MemoryThatIsChangedBeforeACopyHasReadItIsNoticedWithoutImplicitWaits) {
  const auto change_too_early = [&](float to) {
    emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0"));
    const DeviceMatrix x(DType::f32, 1, 1);
    float from = 3;
    (void)cudaMemcpyAsync(x.t().data, &from, sizeof(float), cudaMemcpyHostToDevice, stream_);
    from = to;
    synchronize();
  };
  change_too_early(3);
  EXPECT_DEATH(change_too_early(4), "host memory of 4 bytes was changed before a copy had read it");
}

TEST_F(StreamsDeathTest, HostCodeThatTouchesDeviceMemoryIsStopped) {
  if (!is_flavour("plain")) return;
  EXPECT_DEATH(
      {
        emulated::set_settings(emulated::parse_settings("fence=1"));
        const DeviceMatrix x(DType::f32, 1, 4);
        *pinned_ = x.t().f32()[1];
      },
      "host code touches device memory: byte 4 of 16");
}

}  // namespace
}  // namespace cohort
