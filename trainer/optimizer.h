// Optimizer: AdamW with f32 master weights (kept as AdamWState says), its state shared out over ranks (ZeRO-1, Rajbhandari et al. 2020).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "comm/comm.h"
#include "model/ops/update.h"
#include "model/policy.h"
#include "trainer/config.h"
#include "trainer/gradient_sum.h"

namespace cohort {

// Weights that all ranks together send each other at once.
constexpr int64_t kSharedWeights = int64_t{1} << 24;

class Optimizer {
 public:
  // Of the policy's weights, or of its adapter's, where it has one. Master weights start as those weights (see set_masters). State
  // covers this rank's logical ranks' spans.
  // `gpus`: between the GPUs of several ranks with the policy there (GradientSum). `shared_weights`: bounds the buffer in
  // which ranks without GPUs exchange weights, >= size(); changes no bit.
  Optimizer(Policy& policy, const OptimSection& config, int logical_ranks, Comm& comm, DeviceComm* gpus = nullptr,
            Numerics numerics = Numerics::strict, int64_t shared_weights = kSharedWeights);

  // Takes other master weights, and their roundings as the policy's: read(begin, out) writes those of [begin, begin +
  // out.size()) of the table, of this rank's span. For checkpoints that are stored in more digits than the policy computes with.
  // Called by all ranks, which then have all of the weights.
  void set_masters(const std::function<void(int64_t begin, std::span<float> out)>& read, const Exec& ex);
  // All master weights (table.size), on every rank. Called by all ranks.
  std::vector<float> gather_masters();

  // To be called before step() changes anything of the state: somebody may still be reading it.
  void before_change(std::function<void(const Exec&)> callback) { before_change_ = std::move(callback); }

  GradientSum& gradients() { return gradients_; }
  Comm& comm() const { return comm_; }

  // Sums the gradients, clips by global norm, updates this rank's span, shares the weights, version + 1.
  // Returns the gradient norm before clipping. A non-finite norm throws NonFiniteGradient and changes nothing.
  double step(double learning_rate, const std::vector<bool>& leaf_used, const Exec& ex);
  // Sums the gradients, and no more: throws as step() does.
  void check_sum(const std::vector<bool>& leaf_used, const Exec& ex);

  const ParamTable& table() const { return trained_.table; }  // of what is trained
  int logical_ranks() const { return logical_ranks_; }
  int64_t steps_done() const { return steps_done_; }
  bool on_gpu() const { return policy_.device == Device::cuda; }  // the state is there, for the thread that runs steps alone
  // Seconds of the last step spent exchanging gradients and weights.
  double comm_seconds() const { return comm_seconds_; }

  // The state of shard (logical rank) `shard`, for checkpoints; owned shards only. Elements [begin, begin + size) of it.
  enum class Part : uint8_t { master, m, v };
  int64_t shard_size() const { return trained_.table.size / logical_ranks_; }
  void read_state(int shard, Part part, int64_t begin, std::span<float> out) const;
  void write_state(int shard, Part part, int64_t begin, std::span<const float> in, const Exec& ex);
  LogicalRange owned_shards() const { return gradients_.range(); }
  // After shards were written: sets the step count and gives every rank the weights.
  void restore(int64_t steps_done, const Exec& ex);

  size_t bytes() const { return arena_.bytes() + gradients_.bytes(); }

 private:
  // This rank's span of the sum, and the norm of all of it.
  struct Sum {
    std::span<const float> gradient;
    double norm;
  };
  Sum sum(const std::vector<bool>& leaf_used, const Exec& ex);
  AdamWState state(int64_t begin, int64_t count) const;
  // The same where the host can work on it: in place, or a copy of the GPU's that put() takes back.
  struct HostState;
  HostState host_state(int64_t begin, int64_t count) const;
  void put(const HostState& from) const;
  void read_masters(int64_t begin, std::span<float> out) const;
  void write_masters(int64_t begin, std::span<const float> in, const Exec& ex);
  void share_weights(const Exec& ex);
  void share_between_gpus(const Exec& ex);
  int64_t first_owned(int rank) const;  // element of the table
  void finish_computing(const Exec& ex) const;
  void apply(const Exec& ex);

  Policy& policy_;
  WeightStore& trained_;
  OptimSection config_;
  int logical_ranks_;
  int64_t shared_weights_;
  Comm& comm_;
  DeviceComm* gpus_;
  GradientSum gradients_;
  Arena arena_{"optimizer"};
  Tensor low_, m_, v_;  // of [owned_begin, owned_end), as AdamWState
  std::function<void(const Exec&)> before_change_;
  int64_t steps_done_ = 0;
  double comm_seconds_ = 0;
};

}  // namespace cohort
