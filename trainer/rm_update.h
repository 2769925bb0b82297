// The step of a reward model: the loss of Bradley and Terry over pairs, AdamW.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "trainer/config.h"
#include "trainer/pack_runner.h"
#include "trainer/rm_data.h"

namespace cohort {

// -log sigmoid(chosen - rejected - margin) + center (chosen + rejected)^2 of one pair (Bradley and Terry 1952; Touvron et al. 2023, Llama 2,
// arXiv:2307.09288, equation 2, for the margin; Eisenstein et al. 2023, arXiv:2312.09244, for the centre), and its derivatives by the two scores.
struct PairLoss {
  double loss, by_chosen, by_rejected;
};
PairLoss pair_loss(double chosen, double rejected, double margin, double center);

// Sums over pairs, in their order, so that packs, ranks and passes are not in the result. Names as TRL's RewardTrainer has them.
struct PairSums {
  double pairs = 0, loss = 0, accuracy = 0, margin = 0, rewards = 0;  // rewards: of both scores
  double lowest = 0, highest = 0;
  void add(const PairSums& other);
  std::vector<std::pair<std::string, double>> means() const;
};

// Packs of whole pairs, in order: of each what both begin with, and the rest of both behind it; two targets a pair, the chosen one's first. A
// pack is full at `pack_tokens` rows (0: as build_packs chooses), unless one pair alone is longer.
std::vector<TrainPack> build_pair_packs(std::span<const PreferencePair* const> pairs, int64_t pack_tokens, int64_t logical_ranks);

class RmUpdater {
 public:
  // All outlive the updater. trainer: logical_ranks, pack_tokens, gradient_checkpointing.
  RmUpdater(Policy& policy, Optimizer& optimizer, const TrainerSection& trainer, double center, Comm& comm);

  // One optimizer step on the mean loss of the pairs, the same on every rank. Sets grad_norm(). Exit code 5, led by `when` and naming the
  // pair, when a score is not finite; the weights are then as they were.
  PairSums step(std::span<const PreferencePair* const> pairs, double learning_rate, const std::string& when, const Exec& ex);
  double grad_norm() const { return grad_norm_; }  // of the last step, before clipping

  // The same sums without a step. progress(done, total) in pairs; may be empty.
  PairSums evaluate(std::span<const PreferencePair> pairs, const std::string& when, const Exec& ex,
                    const std::function<void(int64_t done, int64_t total)>& progress = {});

  // As PackRunner's.
  void on_non_finite(std::function<void(const std::string& found)> callback) { runner_.on_non_finite(std::move(callback)); }

 private:
  Policy& policy_;
  const TrainerSection& trainer_;
  double center_;
  Comm& comm_;
  PackRunner runner_;
  double grad_norm_ = 0;
};

}  // namespace cohort
