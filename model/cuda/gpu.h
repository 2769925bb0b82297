// Gpu: what Exec carries of the GPU that a process has open: its one stream, the products' library, and the memory through
// which host and device meet. Private to model/cuda; model/device.h and ops/gpu.h are its outside.
//
// All of the device's work goes on one stream, so that its memory may be used again as soon as the next op is on the
// stream. Only the host's side of a copy must be waited for: copies go through a ring of pinned memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/cuda/attention.h"
#include "model/cuda/matmul.h"
#include "model/cuda/stream.h"
#include "model/device.h"
#include "model/tensor.h"

namespace cohort {
namespace cuda {

// Owns device memory that grows.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() { free(); }
  size_t size() const { return size_; }
  std::byte* data() const { return data_; }
  // At least `bytes`; what it held is lost when it grows, which waits for the stream.
  void require(size_t bytes, Stream stream);
  void free() noexcept;

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace cuda

class Gpu {
 public:
  Gpu(int index, Numerics numerics);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  cuda::Stream stream() const { return stream_; }
  cuda::Products& products() { return *products_; }
  // Waits until the stream is idle; faults of kernels show here.
  void synchronize();

  // --- memory of one op: gone when the next one begins
  void begin_op();
  Tensor scratch(DType dtype, int64_t count);
  Tensor scratch(DType dtype, int64_t rows, int64_t cols) {
    const Tensor t = scratch(dtype, rows * cols);
    return {t.data, dtype, {rows, cols}, Device::cuda};
  }

  // --- host and device
  // The list on the device, for this op. Those of a pass are read by each of its layers: the last few are kept and found
  // again by what they hold.
  Tensor carry(std::span<const int32_t> list);
  Tensor carry(std::span<const float> list);
  void upload(void* to, const void* from, size_t bytes);    // returns when `from` may change
  void download(void* to, const void* from, size_t bytes);  // waits for the stream

  // --- a pass that is launched, or recorded, by itself (pass_graphs.cpp)
  // A list that lies at a place of its own on the device: `carry` finds it by where it lies on the host.
  struct PlacedList {
    const void* host;
    size_t bytes;
    std::byte* device;
  };
  // Of the ops that are called while one lives. `recorded`: they are put on the stream again and again later, so nothing may be
  // copied between host and device, other lists are unknown, and memory of ops stays where it is.
  class Pass {
   public:
    Pass(Gpu& gpu, std::span<const PlacedList> lists, bool recorded) : lists(lists), recorded(recorded), gpu_(gpu) { gpu.pass_ = this; }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() { gpu_.pass_ = nullptr; }
    const std::span<const PlacedList> lists;
    const bool recorded;

   private:
    Gpu& gpu_;
  };
  // Another number when the memory of ops may have moved.
  uint64_t scratch_moves() const { return scratch_moves_; }

  // --- attention: planned once for all layers of a pass that look alike
  const cuda::AttentionPlan& plan(std::span<const PackRun> runs, int64_t rows, const HeadLayout& heads);
  const cuda::AttentionPlan& plan(std::span<const CachedRun> runs, int64_t rows, int64_t page_tokens, const HeadLayout& heads);

  // The one that the process has open, or null.
  static Gpu* current();

 private:
  std::byte* staging(size_t bytes);
  bool recorded() const { return pass_ != nullptr && pass_->recorded; }
  Tensor carry_words(const void* list, size_t count, DType dtype);

  struct List {
    std::vector<int32_t> words;
    cuda::DeviceBuffer device;
    uint64_t used = 0;
  };
  struct Planned {
    std::vector<int64_t> key;
    cuda::AttentionPlan plan;
    uint64_t used = 0;
  };
  template <typename Make>
  const cuda::AttentionPlan& planned(std::vector<int64_t> key, const Make& make);

  cuda::Stream stream_ = nullptr;
  std::optional<cuda::Products> products_;
  std::vector<std::unique_ptr<cuda::DeviceBuffer>> scratch_;  // of one op; joined into one when the next begins
  size_t scratch_used_ = 0;                                   // of the last
  uint64_t scratch_moves_ = 0;
  const Pass* pass_ = nullptr;
  std::byte* pinned_ = nullptr;
  size_t pinned_used_ = 0;
  std::array<List, 12> lists_;
  std::array<Planned, 4> plans_;
  uint64_t clock_ = 0;
};

}  // namespace cohort
