// An op of the table on the device: its tensors, and a call that puts it on the stream.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/roofline/op.h"
#include "model/cuda/matmul.h"
#include "model/cuda/stream.h"
#include "model/tensor.h"

namespace cohort::roofline {

// Owns device memory.
class DeviceMemory {
 public:
  explicit DeviceMemory(cuda::Stream stream) : stream_(stream) {}
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // Exit code 6 where there is not as much. Zeros.
  Tensor zeros(DType dtype, int64_t rows, int64_t cols);
  // Numbers around `middle`, at most `spread` away; the same on every device for the same calls in the same order.
  Tensor numbers(DType dtype, int64_t rows, int64_t cols, float spread = 1, float middle = 0);
  Tensor list(const std::vector<int32_t>& list);
  void* bytes(const void* from, size_t bytes);

  cuda::Stream stream() const { return stream_; }

 private:
  void* take(size_t bytes);
  cuda::Stream stream_;
  std::vector<void*> taken_;
  uint64_t seed_ = 0;
};

struct DeviceOp {
  explicit DeviceOp(cuda::Stream stream) : memory(stream) {}
  DeviceMemory memory;
  std::function<void(cuda::Products& products)> run;
  struct Output {
    std::string name;
    Tensor tensor;
  };
  std::vector<Output> outputs;
};

// Ready to run, with products for what must be computed before.
std::unique_ptr<DeviceOp> prepare(const Op& op, cuda::Stream stream, cuda::Products& products);

// The parts of prepare.
void prepare_layer_op(const Op& op, DeviceOp& device);
void prepare_attention(const Op& op, DeviceOp& device, cuda::Products& products);
void prepare_head(const Op& op, DeviceOp& device, cuda::Products& products);
void prepare_optimizer(const Op& op, DeviceOp& device);

// Distinct as far as there are so many.
std::vector<int32_t> tokens_of(int64_t rows, int64_t vocab);

}  // namespace cohort::roofline
