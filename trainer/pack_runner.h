// PackRunner: one optimizer step over packs - forward, loss, backward for this rank's logical ranks, then the update.
// What the loss is, the caller says: GRPO (update.h) and supervised fine-tuning (warm_start.h) differ in nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/transformer.h"
#include "trainer/optimizer.h"
#include "trainer/packs.h"

namespace cohort {

class PackRunner {
 public:
  PackRunner(Policy& policy, Optimizer& optimizer) : policy_(policy), optimizer_(optimizer) {}

  // dL/dlogprob of target `row` of packs[pack]. Called for the packs of this rank, in order, row after row, from one thread.
  using Gradient = std::function<float(size_t pack, int64_t row, float logprob, float entropy)>;

  // `packs` is the same list on every rank and not empty. prepare(pack, state), if given, is called before the forward pass
  // of each pack, e.g. for the reference's log-probs. Returns the gradient norm before clipping. Non-finite gradients throw
  // (exit code 5) and leave the weights as they are.
  double step(std::span<const TrainPack> packs, float temperature, double learning_rate, const Gradient& gradient,
              const std::function<void(size_t pack, TrainState& state)>& prepare, const Exec& ex);

  // Whether packs[i] is run on this rank.
  bool is_mine(const TrainPack& pack) const {
    return pack.logical_rank >= optimizer_.owned_shards().first && pack.logical_rank < optimizer_.owned_shards().last;
  }
  size_t bytes() const { return state_ ? state_->bytes() : 0; }

 private:
  TrainState& state_for(std::span<const TrainPack> packs);

  Policy& policy_;
  Optimizer& optimizer_;
  std::unique_ptr<TrainState> state_;  // grows to the largest pack seen
};

}  // namespace cohort
