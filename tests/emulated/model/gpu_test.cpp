// Memory that passes between host and device, and that of ops in progress: whoever uses a place again has waited for what
// still used it. CUDA waits of its own in some of these calls; here it does not (Settings::implicit_waits).
#include "model/cuda/gpu.h"

#include <cuda_runtime.h>

#include <numeric>

#include "model/cuda/platform/status.h"
#include "model/gpu_draws.h"
#include "tests/emulated/model/gpu_model.h"

namespace cohort {
namespace {

class GpuMemory : public GpuModel {
 protected:
  GpuMemory() { emulated::set_settings(emulated::parse_settings("streams=lazy,implicit_waits=0")); }
  // Ends the process where memory that was given back has been written by then.
  ~GpuMemory() override { emulated::set_settings({}); }

  static std::vector<float> ascending(int64_t count, float first) {
    std::vector<float> values(static_cast<size_t>(count));
    std::iota(values.begin(), values.end(), first);
    return values;
  }
  // What lies there when nothing is left to be done.
  static std::vector<float> finally_there(const void* device, int64_t count) {
    emulated::set_settings({});
    std::vector<float> values(static_cast<size_t>(count));
    cuda::check_status(cudaMemcpy(values.data(), device, values.size() * sizeof(float), cudaMemcpyDeviceToHost), "copy");
    return values;
  }
};

TEST_F(GpuMemory, ManyUploadsPassThroughTheSamePinnedMemory) {
  constexpr int64_t kCount = 300'000;  // of 1.2 MB, 8 MB of pinned memory
  Arena arena("numbers");
  for (int i = 0; i < 20; ++i) arena.plan("part", DType::f32, {kCount});
  arena.commit(Arena::Pages::all_now, Device::cuda);
  for (size_t i = 0; i < 20; ++i) {
    std::vector<float> values = ascending(kCount, static_cast<float>(i));
    copy(arena[i], Tensor(values.data(), DType::f32, {kCount}));
    std::ranges::fill(values, -1.0f);  // it may change now
  }
  for (size_t i = 0; i < 20; ++i) EXPECT_TRUE(numbers(arena[i]) == ascending(kCount, static_cast<float>(i))) << i;
}

TEST_F(GpuMemory, UploadsAndDownloadsLongerThanThePinnedMemory) {
  constexpr int64_t kCount = 5'000'000;
  Arena arena("numbers");
  arena.plan("all", DType::f32, {kCount});
  arena.commit(Arena::Pages::all_now, Device::cuda);
  const std::vector<float> values = ascending(kCount, 1);
  copy(arena[0], Tensor(const_cast<float*>(values.data()), DType::f32, {kCount}));
  EXPECT_TRUE(numbers(arena[0]) == values);
}

TEST_F(GpuMemory, AnOpsMemoryGrowsWhenTheOpBeforeIsDone) {
  gpu_->begin_op();
  for (const int64_t count : {100, 100'000, 300'000}) gpu::clear(gpu_->scratch(DType::f32, count));
  gpu_->begin_op();  // the three become one
  const Tensor all = gpu_->scratch(DType::f32, 400'000);
  gpu::clear(all);
  EXPECT_EQ(numbers(all), std::vector<float>(400'000, 0.0f));
}

TEST_F(GpuMemory, ABufferGrowsWhenItsLastUserIsDone) {
  cuda::DeviceBuffer buffer;
  for (const int64_t count : {100, 200, 400}) {
    buffer.require(static_cast<size_t>(count) * sizeof(float), gpu_->stream());
    gpu::clear({buffer.data(), DType::f32, {count}, Device::cuda});
  }
  gpu_->synchronize();
}

// Lists that ops read on the device take the places of others that an op still reads.
TEST_F(GpuMemory, AListGrowsWhenItsLastReaderIsDone) {
  Arena arena("lists");
  for (int i = 0; i < 30; ++i) arena.plan("list", DType::f32, {1000});
  arena.commit(Arena::Pages::all_now, Device::cuda);
  for (int i = 0; i < 30; ++i) {
    const int64_t count = 33 * (i + 1);
    const std::vector<float> list = ascending(count, static_cast<float>(i));
    const Tensor target(arena[static_cast<size_t>(i)].data, DType::f32, {count}, Device::cuda);
    gpu::copy(target, gpu_->carry(list));
  }
  for (int i = 0; i < 30; ++i) {
    const int64_t count = 33 * (i + 1);
    const Tensor target(arena[static_cast<size_t>(i)].data, DType::f32, {count}, Device::cuda);
    EXPECT_EQ(numbers(target), ascending(count, static_cast<float>(i)));
  }
}

TEST_F(GpuMemory, WhatIsGivenBackIsNotUsedAnyMore) {
  for (int i = 0; i < 3; ++i) {
    Arena arena("numbers");
    arena.plan("all", DType::f32, {1000});
    arena.commit(Arena::Pages::all_now, Device::cuda);  // it is still being cleared
  }
}

TEST_F(GpuMemory, DrawsThatNobodyReadsEndBeforeTheirMemory) {
  Arena arena("logits");
  arena.plan("logits", DType::f32, {1, 80});
  arena.commit(Arena::Pages::all_now, Device::cuda);
  GpuDraws draws(1);
  const DrawKey key{1, 2, 3, 0};
  draws.sample_tokens(arena[0], {}, {&key, 1}, {});
  draws.send({&key, 1}, 1, 1);
}

TEST_F(GpuMemory, AGpuIsClosedWhenItHasDoneItsWork) {
  constexpr int64_t kCount = 1000;
  void* device = nullptr;
  cuda::check_status(cudaMalloc(&device, kCount * sizeof(float)), "allocate device memory");
  const std::vector<float> values = ascending(kCount, 5);
  gpu_->upload(device, values.data(), kCount * sizeof(float));
  gpu_.reset();
  EXPECT_EQ(finally_there(device, kCount), values);
  cuda::check_status(cudaFree(device), "free device memory");
}

}  // namespace
}  // namespace cohort
