// Devices, their memory, and faults that are made to happen: what the runtime answers, and what cohort says of it.
#include <cuda_runtime.h>
#include <cublasLt.h>

#include "tests/emulated/gpu_test.h"
#include "tests/emulated/test_kernels.h"

namespace cohort {
namespace {

class Devices : public GpuOps {
 protected:
  static void set(const std::string& settings) { emulated::set_settings(emulated::parse_settings(settings)); }
  // What check_status makes of an answer.
  static std::string said(cudaError_t answer, ExitCode& code) {
    return message_of([&] { cuda::check_status(answer, "do it"); }, code);
  }
};

TEST_F(Devices, AreCountedAndDescribed) {
  set("devices=3,memory=1000000");
  int count = 0, multiprocessors = 0, device = -1;
  ASSERT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 3);
  cudaDeviceProp properties;
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 2), cudaSuccess);
  EXPECT_EQ(properties.totalGlobalMem, 1000000u);
  ASSERT_EQ(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 2), cudaSuccess);
  EXPECT_EQ(multiprocessors, properties.multiProcessorCount);
  EXPECT_EQ(properties.major * 10 + properties.minor, 90);
  ASSERT_EQ(cudaSetDevice(2), cudaSuccess);
  ASSERT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 2);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
}

TEST_F(Devices, MoreRanksThanDevicesIsAUsageError) {
  set("devices=2");
  ExitCode code{};
  EXPECT_NE(said(cudaSetDevice(2), code).find("fewer GPUs than asked for"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kUsage);
}

TEST_F(Devices, NoneIsAUsageError) {
  set("devices=0");
  int count = -1;
  ExitCode code{};
  EXPECT_NE(said(cudaGetDeviceCount(&count), code).find("nvidia-smi"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kUsage);
  EXPECT_EQ(count, 0);
  void* memory;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorNoDevice);
  cublasLtHandle_t handle;
  EXPECT_EQ(cublasLtCreate(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
}

TEST_F(Devices, AnOldDriverIsAUsageError) {
  set("old_driver=1");
  int count = -1, driver = 0, runtime = 0;
  ExitCode code{};
  EXPECT_NE(said(cudaGetDeviceCount(&count), code).find("update the driver"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kUsage);
  EXPECT_EQ(cudaDriverGetVersion(&driver), cudaSuccess);
  EXPECT_EQ(cudaRuntimeGetVersion(&runtime), cudaSuccess);
  EXPECT_LT(driver, runtime);
}

TEST_F(Devices, MemoryIsCountedAndRunsOut) {
  size_t before = 0, after = 0, total = 0;
  set("memory=1000000");
  ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
  EXPECT_EQ(total, 1000000u);
  {
    const DeviceBytes bytes(600000);
    ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
    EXPECT_EQ(before - after, 600000u);
    ExitCode code{};
    EXPECT_NE(message_of([] { DeviceBytes more(600000); }, code).find("out of memory"), std::string::npos);
    EXPECT_EQ(code, ExitCode::kResources);
    EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess) << "the device is none the worse";
    set("memory=1000000,fail_malloc=2");
    const DeviceBytes first(4);
    EXPECT_THROW(DeviceBytes(4), Error);
    const DeviceBytes third(4);
    (void)cudaGetLastError();
  }
  ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
  EXPECT_EQ(after, before);
  void* unknown = &before;
  EXPECT_EQ(cudaFree(unknown), cudaErrorInvalidValue);
  (void)cudaGetLastError();
}

TEST_F(Devices, AKernelThatFaultsBreaksTheDeviceForGood) {
  const DeviceMatrix x(Matrix(DType::f32, 1, 4)), y(DType::f32, 1, 4);
  set("streams=lazy,fail_launch=2");
  cuda::add_number(y.t().f32(), x.t().f32(), 1, 4, stream_);
  cuda::add_number(y.t().f32(), x.t().f32(), 1, 4, stream_);  // is told only when it has run
  ExitCode code{};
  EXPECT_NE(said(cudaStreamSynchronize(stream_), code).find("cudaErrorLaunchFailure"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kInternal);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure) << "it stays";
  const std::string message =
      message_of([&] { cuda::add_number(y.t().f32(), x.t().f32(), 1, 4, stream_); }, code);
  EXPECT_NE(message.find("cannot launch kernel cohort::cuda::kernels::add_number"), std::string::npos) << message;
  void* memory;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorLaunchFailure);
  emulated::set_settings({});
}

TEST_F(Devices, SharedMemoryIsAskedForAndLimited) {
  const DeviceMatrix y(DType::f32, 1, 64);
  cuda::one_block(y.t().f32(), 64, 100 * 1024, stream_);
  cuda::one_block(y.t().f32(), 64, 227 * 1024, stream_);
  synchronize();
  EXPECT_THROW(cuda::one_block(y.t().f32(), 64, 228 * 1024, stream_), Error);
  EXPECT_THROW(cuda::one_block(y.t().f32(), 0, 0, stream_), Error);
  EXPECT_THROW(cuda::one_block(y.t().f32(), 1025, 0, stream_), Error);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "told once";
}

TEST(SettingsDeathTest, AnUnknownSettingEndsTheProcess) {
  EXPECT_DEATH(emulated::parse_settings("ordre=reverse"), "there is no setting ordre");
  EXPECT_DEATH(emulated::parse_settings("order=sideways"), "order=sideways is not known");
  EXPECT_DEATH(emulated::parse_settings("devices=two"), "is no number");
  EXPECT_EQ(emulated::parse_settings("rank=3,devices=1").devices, emulated::Settings{}.devices) << "not this rank";
}

}  // namespace
}  // namespace cohort
