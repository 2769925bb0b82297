#include "trainer/update_batch.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "trainer/entropy.h"

namespace cohort {
namespace {

bool is_masked(const Rollout& rollout, bool mask_truncated) {
  return mask_truncated && rollout.finish_reason == FinishReason::length;
}

// `everything`: also completions that the loss does not see.
std::vector<PackInput> pack_inputs(std::span<const Group> groups, bool everything, bool all_groups, bool mask_truncated) {
  std::vector<PackInput> inputs;
  for (const Group& group : groups) {
    PackInput input{group.prompt, {}, {}};
    for (size_t i = 0; i < group.rollouts.size(); ++i) {
      const Rollout& rollout = group.rollouts[i];
      const bool run = everything || ((all_groups || group.has_signal) && is_selected(group, i) && !is_masked(rollout, mask_truncated));
      input.completions.push_back(run ? std::span<const int32_t>(rollout.tokens) : std::span<const int32_t>());
      input.slots.push_back(rollout.slots);
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// Counts over the whole batch, as TRL's: every sequence that is selected, and the tokens of those that are not masked. Skipped groups
// count, so that what a completion contributes does not depend on whether others have a signal.
Normalisers count(std::span<const Group> groups, bool mask_truncated, int64_t max_completion_length) {
  Normalisers n{.max_completion_length = max_completion_length};
  for (const Group& group : groups) {
    for (size_t i = 0; i < group.rollouts.size(); ++i) {
      if (!is_selected(group, i)) continue;
      n.sequences += 1;
      if (!is_masked(group.rollouts[i], mask_truncated)) n.tokens += static_cast<int64_t>(group.rollouts[i].tokens.size());
    }
  }
  return n;
}

}  // namespace

bool UpdateBatch::is_on_policy(int64_t version) const {
  return std::ranges::all_of(groups, [&](const Group& group) {
    return std::ranges::all_of(group.rollouts, [&](const Rollout& rollout) { return rollout.policy_version == version; });
  });
}

std::vector<UpdateBatch> make_batches(std::span<const Group> groups, std::span<const std::string> names, const Config& config) {
  const AlgorithmSection& a = config.algorithm;
  // KL term and entropy are there without a signal too, and a quantile is one of all tokens.
  const bool moves_always = make_loss_config(a).beta > 0 || has_entropy_bonus(a);
  const bool all_groups = moves_always || a.top_entropy_quantile < 1 || !config.trainer.skip_zero_advantage;
  const auto parts = static_cast<size_t>(a.steps_per_generation);
  CHECK(parts > 0 && names.size() >= groups.size(), "{} groups with {} names in {} parts", groups.size(), names.size(), parts);
  std::vector<UpdateBatch> batches;
  for (size_t part = 0; part < parts; ++part) {
    const size_t begin = groups.size() * part / parts, end = groups.size() * (part + 1) / parts;
    UpdateBatch batch{.groups = groups.subspan(begin, end - begin), .names = names.subspan(begin, end - begin)};
    batch.normalisers = count(batch.groups, a.mask_truncated_completions, config.rollout.max_completion_length);
    if (moves_always || std::ranges::any_of(batch.groups, &Group::has_signal))
      batch.packs = build_packs(pack_inputs(batch.groups, /*everything=*/false, all_groups, a.mask_truncated_completions), config.trainer.pack_tokens,
                                config.trainer.logical_ranks);
    for (auto* of_packs : {&batch.references, &batch.old_logprobs, &batch.corrections}) of_packs->resize(batch.packs.size());
    batches.push_back(std::move(batch));
  }
  return batches;
}

std::vector<TrainPack> pack_everything(std::span<const Group> groups, const Config& config) {
  return build_packs(pack_inputs(groups, /*everything=*/true, /*all_groups=*/true, /*mask_truncated=*/false), config.trainer.pack_tokens,
                     config.trainer.logical_ranks);
}

void PackStats::add(const PackStats& o) {
  loss += o.loss, kl += o.kl, entropy += o.entropy, clipped_low += o.clipped_low, clipped_high += o.clipped_high;
  bonus += o.bonus, active_entropy += o.active_entropy, active_tokens += o.active_tokens;
  rows += o.rows, reused_rows += o.reused_rows;
  tokens += o.tokens, logp_difference += o.logp_difference;
  max_logp_difference = std::max(max_logp_difference, o.max_logp_difference);
  correction += o.correction, masked += o.masked;
  min_ratio = std::min(min_ratio, o.min_ratio), max_ratio = std::max(max_ratio, o.max_ratio);
}

PackStats sum_over_ranks(std::span<const PackStats> mine, Comm& comm) {
  PackStats sum;
  for (const std::vector<std::byte>& bytes : comm.all_gather(std::as_bytes(mine), "loss")) {
    for (size_t at = 0; at < bytes.size(); at += sizeof(PackStats)) {
      PackStats pack;
      std::memcpy(&pack, bytes.data() + at, sizeof pack);
      sum.add(pack);
    }
  }
  return sum;
}

std::vector<float> gather_in_order(std::span<const std::vector<float>> mine, Comm& comm, const char* name) {
  std::vector<float> own, all;
  for (const std::vector<float>& pack : mine) own.insert(own.end(), pack.begin(), pack.end());
  for (const std::vector<std::byte>& bytes : comm.all_gather(std::as_bytes(std::span(own)), name)) {
    const size_t at = all.size();
    all.resize(at + bytes.size() / sizeof(float));
    std::memcpy(all.data() + at, bytes.data(), bytes.size());
  }
  return all;
}

}  // namespace cohort
