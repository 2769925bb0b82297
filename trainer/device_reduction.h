// DeviceReduction: the last part of GradientSum::finish where gradients lie on GPUs: every rank gets the total of its span,
// added up in the tree of gradient_tree.h, so that the bits are those of any other number of ranks and of ranks without GPUs.
//
// It works by buckets: a bucket, usually a layer, can go as soon as its gradients are complete, while the GPU computes those
// of the layers below. A rank's span is fixed, since it is what its optimizer state covers; so most of a bucket goes to one
// or two ranks, and it is the buckets together that load all links alike.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/device_comm.h"
#include "model/device.h"
#include "model/params.h"
#include "trainer/gradient_sum.h"

namespace cohort {

class DeviceReduction {
 public:
  // `size`: elements of the flat gradient, a multiple of logical_ranks. `exchange`: elements that one rank sends another at
  // once, >= 1; it bounds the buffer that they are received in and changes no bit. Numerics strict: ordered sums of what the
  // other ranks send; fast: the library's reductions.
  DeviceReduction(int64_t size, int logical_ranks, DeviceComm& comm, Numerics numerics = Numerics::strict,
                  int64_t exchange = kExchangedGradients);

  // A step begins. leaf_used as GradientSum::finish's; sums[i]: the flat gradient (size) of this rank's held_nodes()[i], in
  // device memory. The sums are replaced by the reduction.
  void begin(const std::vector<bool>& leaf_used, std::span<float* const> sums);
  // Elements [begin, end) of all sums are complete when `computed` has done what is on it now. Every rank calls it with the
  // same buckets in the same order; together they are all elements.
  void reduce(ParamSpan bucket, DeviceStream computed);
  // After all buckets: the totals of this rank's span, for what is queued on `stream` from now on; valid until the next
  // begin. Waits for nothing: DeviceComm::wait does, with the deadline.
  const float* finish(DeviceStream stream);

  ParamSpan owned() const { return owned_; }
  size_t bytes() const { return static_cast<size_t>(received_count_ + (total_memory_ ? owned_.end - owned_.begin : 0)) * sizeof(float); }

 private:
  struct Term {
    TreeNode node;
    float* data;
  };
  void add_up(std::span<Term> terms, float* sum, int64_t count);
  void reduce_in_order(ParamSpan bucket, int64_t at);
  void reduce_by_library(ParamSpan bucket);
  int64_t begin_of(int rank) const;
  ParamSpan part_of(int rank, ParamSpan piece) const;

  int64_t size_, exchange_;
  int logical_ranks_;
  DeviceComm& comm_;
  Numerics numerics_;
  ParamSpan owned_;
  std::vector<std::vector<TreeNode>> held_;  // of each rank
  std::vector<float*> sums_;
  float* total_ = nullptr;                   // of owned_
  std::shared_ptr<void> received_, total_memory_;
  int64_t received_count_ = 0;
  std::vector<ParamSpan> reduced_;
};

// Buckets in the order in which the backward pass completes them: the head (unless it is the embedding's) and the last norm,
// the layers from the last to the first, the embedding. Layers are joined until a bucket has `least` elements.
std::vector<ParamSpan> backward_buckets(const ParamTable& table, int64_t least);

}  // namespace cohort
