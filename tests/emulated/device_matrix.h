// Matrices in (emulated) device memory for the tests, made from and read back into those of tests/ops.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <span>
#include <utility>
#include <vector>

#include "model/cuda/platform/status.h"
#include "tests/ops/random_matrix.h"

namespace cohort {

// Owns device memory.
class DeviceBytes {
 public:
  explicit DeviceBytes(size_t bytes) {
    cuda::check_status(cudaMalloc(&data_, bytes), "allocate device memory");
  }
  DeviceBytes(DeviceBytes&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  DeviceBytes& operator=(DeviceBytes&&) = delete;
  ~DeviceBytes() { EXPECT_EQ(cudaFree(data_), cudaSuccess); }
  void* get() const { return data_; }

 private:
  void* data_ = nullptr;
};

// A matrix on the device: first `rows` x `cols` numbers of 0xff bytes (NaN) or those of `host`. `skew` numbers lie before
// it, so that vectors of numbers are not aligned.
class DeviceMatrix {
 public:
  DeviceMatrix(DType dtype, int64_t rows, int64_t cols, int64_t skew = 0)
      : dtype_(dtype), rows_(rows), cols_(cols), skew_(skew), bytes_(size() + static_cast<size_t>(skew) * dtype_size(dtype)) {}
  explicit DeviceMatrix(const Matrix& host, int64_t skew = 0) : DeviceMatrix(host.dtype, host.rows, host.cols, skew) {
    cuda::check_status(cudaMemcpy(data(), host.t().data, size(), cudaMemcpyHostToDevice), "copy to the device");
  }
  explicit DeviceMatrix(std::span<const int32_t> ids) : DeviceMatrix(DType::i32, 1, static_cast<int64_t>(ids.size())) {
    cuda::check_status(cudaMemcpy(data(), ids.data(), size(), cudaMemcpyHostToDevice), "copy to the device");
  }
  Tensor t() const { return {data(), dtype_, {rows_, cols_}, Device::cuda}; }
  Matrix host() const {
    Matrix m(dtype_, rows_, cols_);
    cuda::check_status(cudaMemcpy(m.t().data, data(), size(), cudaMemcpyDeviceToHost), "copy to the host");
    return m;
  }

 private:
  void* data() const { return static_cast<std::byte*>(bytes_.get()) + static_cast<size_t>(skew_) * dtype_size(dtype_); }
  size_t size() const { return static_cast<size_t>(rows_ * cols_) * dtype_size(dtype_); }

  DType dtype_;
  int64_t rows_, cols_, skew_;
  DeviceBytes bytes_;
};

}  // namespace cohort
