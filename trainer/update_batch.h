// UpdateBatch: what one optimizer step learns from - some of a step's groups, packed, with what their loss is divided by.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "trainer/config.h"
#include "trainer/loss.h"
#include "trainer/packs.h"

namespace cohort {

struct UpdateBatch {
  std::span<const Group> groups;
  std::span<const std::string> names;  // of the groups' problems
  Normalisers normalisers;
  std::vector<TrainPack> packs;                // none: there is nothing to learn from
  std::vector<std::vector<float>> references;  // of each pack of this rank, once they are known: the reference's log-probs
  std::vector<std::vector<float>> old_logprobs;  // and those of the policy that the step's update begins with (rollout_correction.h)
  std::vector<std::vector<float>> corrections;   // and what the policy term of each token counts, where its completion decides that

  const Group& group_of(const TargetRef& ref) const { return groups[static_cast<size_t>(ref.group)]; }
  const Rollout& rollout_of(const TargetRef& ref) const { return group_of(ref).rollouts[static_cast<size_t>(ref.sample)]; }
  // Whether all completions are of this version of the policy: their log-probs are then the policy's own, bit for bit.
  bool is_on_policy(int64_t version) const;
};

// The groups, in order, in algorithm.steps_per_generation parts.
std::vector<UpdateBatch> make_batches(std::span<const Group> groups, std::span<const std::string> names, const Config& config);

// Packs of all completions, whatever the loss does with them.
std::vector<TrainPack> pack_everything(std::span<const Group> groups, const Config& config);

// Sums over the tokens of one pack, in order. Packs are added in global order, so ranks do not change the result.
struct PackStats {
  double loss = 0, kl = 0, entropy = 0, clipped_low = 0, clipped_high = 0, tokens = 0;
  double bonus = 0, active_entropy = 0, active_tokens = 0;  // of tokens that the policy term and the entropy bonus are of
  double rows = 0, reused_rows = 0;
  double logp_difference = 0, max_logp_difference = 0;
  double min_ratio = std::numeric_limits<double>::infinity(), max_ratio = 0;
  double correction = 0, masked = 0;  // sum of rollout_correction's weights, and how many of them are 0

  void add(const PackStats& other);
};
// Of all ranks' packs, in their order: ranks own ascending logical ranks, and packs ascend with them.
PackStats sum_over_ranks(std::span<const PackStats> mine, Comm& comm);
// Numbers of each pack of this rank, in order: those of all ranks, in pack order.
std::vector<float> gather_in_order(std::span<const std::vector<float>> mine, Comm& comm, const char* name);

}  // namespace cohort
