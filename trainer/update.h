// Update: the policy-gradient step(s) on a batch of scored groups.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "trainer/config.h"
#include "trainer/entropy.h"
#include "trainer/loss.h"
#include "trainer/metrics.h"
#include "trainer/pack_runner.h"
#include "trainer/rollout_correction.h"
#include "trainer/update_batch.h"

namespace cohort {

class Updater {
 public:
  // `reference`: the policy of the KL term; needed when algorithm.beta > 0, else null. All outlive the updater.
  Updater(Policy& policy, const Policy* reference, Optimizer& optimizer, const Config& config, Comm& comm);

  // num_iterations times steps_per_generation optimizer steps on the groups (equal on every rank); adds to `metrics`: loss, grad_norm,
  // learning_rate, entropy, kl, clip_ratio/..., sampling/... A batch in which no group has a signal changes nothing: no weight, no moment.
  // `step` (1-based) sets the learning rate. `names[g]`: the id of group g's problem, for messages. Exit code 5, naming prompt and completion,
  // when a log-prob or loss is not finite: before the optimizer is touched. `tape`: of this rank, holds the rows that the
  // rollouts' slots name, so that updates of the policy that sampled them need not run them forward; no bit depends on it.
  void update(std::span<const Group> groups, std::span<const std::string> names, int64_t step, Metrics& metrics, const Exec& ex,
              ActivationTape* tape = nullptr);

  // Sets the groups' reference_logprobs, equal on every rank: before advantages, where the KL is part of the reward. Exit code 5, as
  // update's, when one is not finite.
  void set_reference_logprobs(std::span<Group> groups, std::span<const std::string> names, int64_t step, const Exec& ex);

  // Its state goes on from step to step: with use_adaptive_entropy it belongs into checkpoints.
  EntropyBonus& entropy_bonus() { return bonus_; }

  // Completion tokens that the last update trained on, all ranks together.
  int64_t trained_tokens() const { return trained_tokens_; }

  // As PackRunner's.
  void on_non_finite(std::function<void(const std::string& found)> callback) { runner_.on_non_finite(std::move(callback)); }

 private:
  // What is known of a batch's tokens before its gradient, of each pack of this rank.
  struct Known {
    std::vector<std::vector<float>> logprobs, entropies;  // of the policy as it is
    std::vector<std::vector<SequenceTerm>> sequences;     // of each token's
    double threshold = -1;     // tokens of less entropy are left to the KL term
    double active_tokens = 0;  // the others, on all ranks
  };
  double optimizer_step(UpdateBatch& batch, int64_t step, double learning_rate, PackStats& total, const Exec& ex, ActivationTape* tape);
  void find_threshold(const UpdateBatch& batch, Known& known, const Exec& ex, ActivationTape* tape);
  void find_old(UpdateBatch& batch, const Exec& ex, ActivationTape* tape);
  double correction_of(const UpdateBatch& batch, size_t pack, int64_t row, float logprob) const;
  void find_sequences(const UpdateBatch& batch, size_t pack, Known& known, TrainState& state, const Exec& ex);
  TokenInput input_of(const UpdateBatch& batch, const Known& known, size_t pack, int64_t row, float logprob, float entropy) const;
  void set_clip_metrics(Metrics& metrics, const PackStats& sum, double ratios) const;
  void set_metrics(Metrics& metrics, const PackStats& sum, const PackStats& first, double norm, double times) const;

  Policy& policy_;
  const Policy* reference_;
  Optimizer& optimizer_;
  const Config& config_;
  Comm& comm_;
  LossConfig loss_;
  RolloutCorrection correction_;
  int64_t first_version_ = 0;  // of the policy, when the step's update began
  EntropyBonus bonus_;
  double applied_bonus_ = 0;  // the coefficient of the last optimizer step
  PackRunner runner_;
  int64_t trained_tokens_ = 0;
};

}  // namespace cohort
