// GradientSum: adds the gradients of the logical ranks in a fixed binary tree (gradient_tree.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/comm.h"
#include "model/arena.h"
#include "model/device.h"
#include "model/exec.h"
#include "model/tensor.h"
#include "trainer/gradient_tree.h"

namespace cohort {

class DeviceComm;
class DeviceReduction;

// Elements of a gradient that one rank sends another at once.
constexpr int64_t kExchangedGradients = int64_t{1} << 22;

class GradientSum {
 public:
  // `size`: elements of the flat gradient, a multiple of logical_ranks, which is a power of two.
  // `exchange`: elements that one rank sends another at once, >= 1; it bounds the receive buffers
  // and does not change the bits. `device`: where gradients are; several ranks exchange a GPU's by `gpus`, which outlives
  // this, and with fast `numerics` that adds them up.
  GradientSum(int64_t size, int logical_ranks, Comm& comm, int64_t exchange = kExchangedGradients,
              Device device = Device::cpu, DeviceComm* gpus = nullptr, Numerics numerics = Numerics::strict);
  ~GradientSum();

  LogicalRange range() const { return range_; }
  // This rank's span of the flat gradient: [first, last) of `range`, in elements.
  int64_t owned_begin() const { return range_.first * (size_ / logical_ranks_); }
  int64_t owned_end() const { return range_.last * (size_ / logical_ranks_); }

  // A buffer (size) f32 for the sum of the packs of `leaves` (logical ranks, ascending, of this rank; one leaf for each pack),
  // added up as tree_merges(leaves) says. Elements that are never written are 0. Buffers are begun in ascending order; the
  // packs of one leaf may come in several, leaf by itself; leaves without packs are left out.
  Tensor begin(std::span<const int> leaves, const Exec& ex);
  // The buffer that the next `begin` gives, for other use until then. What is left in its layers is overwritten or cleared there.
  Tensor next_buffer();
  // The buffer is complete: merges it up the tree as far as this rank can. `leaf_goes_on`: the next one is of the same leaf.
  void end(const Exec& ex, bool leaf_goes_on = false);
  // Exchanges spans and sums them in tree order: the total of this rank's span, on its device, valid until the
  // next begin. `leaf_used[l]`: whether logical rank l has packs, on whichever rank; at least
  // one must. This rank must have begun those of its range, and no others (exit code 1).
  std::span<const float> finish(const std::vector<bool>& leaf_used, const Exec& ex);

  size_t bytes() const;  // held by buffers now

 private:
  using Buffer = std::unique_ptr<Arena>;
  struct Node {
    TreeNode at;
    Buffer data;
  };
  Buffer new_buffer(Device device) const;
  std::span<const float> exchange(const std::vector<bool>& leaf_used, const Exec& ex);
  std::span<const float> exchange_between_gpus(const std::vector<bool>& leaf_used, const Exec& ex);
  float* data(const Buffer& buffer) const { return (*buffer)[0].f32(); }
  void settle(int upto, const Exec& ex);

  int64_t size_, exchange_;
  int logical_ranks_;
  Comm& comm_;
  Device device_;
  LogicalRange range_;
  TreeNode open_{-1, 0};     // in progress; level -1: none
  int last_begun_ = -1;      // leaf, since the last finish
  bool leaf_goes_on_ = false;
  std::vector<bool> begun_;  // leaves, since the last finish
  Buffer open_data_;
  std::vector<Node> nodes_;   // complete, left to right
  std::vector<Buffer> free_;  // buffers of `size` to use again
  std::vector<float> owned_, received_;  // owned_: the total, where this rank has no pack
  DeviceComm* gpus_;
  std::unique_ptr<DeviceReduction> reduction_;  // of several ranks with GPUs
};

}  // namespace cohort
