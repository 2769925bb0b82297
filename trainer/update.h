// Update: the policy-gradient step(s) on a batch of scored groups.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "trainer/config.h"
#include "trainer/loss.h"
#include "trainer/metrics.h"
#include "trainer/pack_runner.h"

namespace cohort {

class Updater {
 public:
  // `reference`: the frozen policy of the KL term; needed when algorithm.beta > 0, else null. All outlive the updater.
  Updater(Policy& policy, const Policy* reference, Optimizer& optimizer, const Config& config, Comm& comm);

  // num_iterations optimizer steps on the groups (equal on every rank); adds to `metrics`: loss, grad_norm, learning_rate, entropy,
  // kl, clip_ratio/..., sampling/... A batch in which no group has a signal changes nothing: no weight, no moment.
  // `step` (1-based) sets the learning rate. `names[g]`: the id of group g's problem, for messages. Exit code 5, naming prompt and completion,
  // when a log-prob or loss is not finite: before the optimizer is touched. `tape`: of this rank, holds the rows that the
  // rollouts' slots name, so that the first iteration need not run them forward; no bit depends on it.
  void update(std::span<const Group> groups, std::span<const std::string> names, int64_t step, Metrics& metrics, const Exec& ex,
              ActivationTape* tape = nullptr);

  // Completion tokens that the last update trained on, all ranks together.
  int64_t trained_tokens() const { return trained_tokens_; }

 private:
  Policy& policy_;
  const Policy* reference_;
  Optimizer& optimizer_;
  const Config& config_;
  Comm& comm_;
  LossConfig loss_;
  PackRunner runner_;
  std::vector<std::vector<float>> reference_logprobs_;  // of each pack of this rank
  int64_t trained_tokens_ = 0;
};

}  // namespace cohort
