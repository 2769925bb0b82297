// Owners of what a rank has on its (emulated) GPU. Their destructors also run when the GPU has failed.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "model/cuda/platform/status.h"

namespace cohort {

// A stream of this thread's GPU.
class GpuStream {
 public:
  GpuStream() { cuda::check_status(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "create a stream"); }
  ~GpuStream() { (void)cudaStreamDestroy(stream_); }
  GpuStream(const GpuStream&) = delete;
  GpuStream& operator=(const GpuStream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// Floats on the GPU.
class GpuFloats {
 public:
  explicit GpuFloats(size_t size) : size_(size) {
    cuda::check_status(cudaMalloc(reinterpret_cast<void**>(&data_), size * sizeof(float)), "allocate device memory");
  }
  explicit GpuFloats(std::span<const float> host) : GpuFloats(host.size()) {
    cuda::check_status(cudaMemcpy(data_, host.data(), host.size_bytes(), cudaMemcpyHostToDevice), "copy to the device");
  }
  GpuFloats(GpuFloats&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  ~GpuFloats() { (void)cudaFree(data_); }
  GpuFloats& operator=(GpuFloats&&) = delete;
  float* data() const { return data_; }
  std::vector<float> host() const { return read(data_, size_); }
  static std::vector<float> read(const float* data, size_t size) {
    std::vector<float> values(size);
    cuda::check_status(cudaMemcpy(values.data(), data, size * sizeof(float), cudaMemcpyDeviceToHost), "copy to the host");
    return values;
  }

 private:
  float* data_ = nullptr;
  size_t size_;
};

// Floats of the host that copies go to and from while the host does something else.
class PinnedFloats {
 public:
  explicit PinnedFloats(size_t size) : size_(size) {
    cuda::check_status(cudaMallocHost(reinterpret_cast<void**>(&data_), size * sizeof(float)), "allocate pinned memory");
  }
  explicit PinnedFloats(std::span<const float> from) : PinnedFloats(from.size()) { std::copy(from.begin(), from.end(), data_); }
  PinnedFloats(PinnedFloats&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  ~PinnedFloats() { (void)cudaFreeHost(data_); }
  PinnedFloats& operator=(PinnedFloats&&) = delete;
  float* data() const { return data_; }
  std::vector<float> values() const { return {data_, data_ + size_}; }

 private:
  float* data_ = nullptr;
  size_t size_;
};

}  // namespace cohort
