// Optimizer: AdamW with f32 master weights, its state shared out over ranks (ZeRO-1, Rajbhandari et al. 2020).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "comm/comm.h"
#include "model/policy.h"
#include "trainer/config.h"
#include "trainer/gradient_sum.h"

namespace cohort {

class Optimizer {
 public:
  // Master weights start as the policy's weights (see set_masters). State covers this rank's logical ranks' spans.
  Optimizer(Policy& policy, const OptimSection& config, int logical_ranks, Comm& comm);

  // Takes other master weights, of which the policy's weights are the roundings: read(begin, out) writes those of
  // [begin, begin + out.size()) of the table. For checkpoints that are stored in more digits than the policy computes with.
  void set_masters(const std::function<void(int64_t begin, std::span<float> out)>& read);
  // All master weights (table.size), on every rank. Called by all ranks.
  std::vector<float> gather_masters();

  GradientSum& gradients() { return gradients_; }

  // Sums the gradients, clips by global norm, updates this rank's span, shares the weights, repacks, version + 1.
  // Returns the gradient norm before clipping. A non-finite norm throws (exit code 5) and changes nothing.
  double step(double learning_rate, const std::vector<bool>& leaf_used, const Exec& ex);

  int logical_ranks() const { return logical_ranks_; }
  int64_t steps_done() const { return steps_done_; }
  // Seconds of the last step spent exchanging gradients and weights.
  double comm_seconds() const { return comm_seconds_; }

  // The state of shard (logical rank) `shard`, for checkpoints; owned shards only.
  struct Shard {
    std::span<float> master, m, v;
  };
  Shard shard(int shard);
  LogicalRange owned_shards() const { return gradients_.range(); }
  // After shards were loaded: sets the step count and derives the policy's weights from the masters, on every rank.
  void restore(int64_t steps_done, const Exec& ex);

  size_t bytes() const { return (master_.size() + m_.size() + v_.size()) * sizeof(float) + gradients_.bytes(); }

 private:
  void share_weights(const Exec& ex);
  void share(std::span<std::byte> table, size_t element_bytes, const char* what);

  Policy& policy_;
  OptimSection config_;
  int logical_ranks_;
  Comm& comm_;
  GradientSum gradients_;
  std::vector<float> master_, m_, v_;  // [owned_begin, owned_end)
  int64_t steps_done_ = 0;
  double comm_seconds_ = 0;
};

}  // namespace cohort
