#include "trainer/update.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/check.h"

namespace cohort {
namespace {

// Sums over the tokens of one pack, in order. Packs are added in global order, so ranks do not change the result.
struct PackStats {
  double loss = 0, kl = 0, entropy = 0, clipped_low = 0, clipped_high = 0, tokens = 0;
  double rows = 0, reused_rows = 0;
  double logp_difference = 0, max_logp_difference = 0;
  double min_ratio = std::numeric_limits<double>::infinity(), max_ratio = 0;

  void add(const PackStats& o) {
    loss += o.loss, kl += o.kl, entropy += o.entropy, clipped_low += o.clipped_low, clipped_high += o.clipped_high;
    rows += o.rows, reused_rows += o.reused_rows;
    tokens += o.tokens, logp_difference += o.logp_difference;
    max_logp_difference = std::max(max_logp_difference, o.max_logp_difference);
    min_ratio = std::min(min_ratio, o.min_ratio), max_ratio = std::max(max_ratio, o.max_ratio);
  }
};

// Ranks own ascending logical ranks and packs ascend with them, so rank order is pack order.
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

bool is_masked(const Rollout& rollout, bool mask_truncated) {
  return mask_truncated && rollout.finish_reason == FinishReason::length;
}

std::vector<PackInput> pack_inputs(std::span<const Group> groups, bool all_groups, bool mask_truncated) {
  std::vector<PackInput> inputs;
  for (const Group& group : groups) {
    PackInput input{group.prompt, {}, {}};
    for (const Rollout& rollout : group.rollouts) {
      const bool run = (all_groups || group.has_signal) && !is_masked(rollout, mask_truncated);
      input.completions.push_back(run ? std::span<const int32_t>(rollout.tokens) : std::span<const int32_t>());
      input.slots.push_back(rollout.slots);
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

// Counts over the whole step, as TRL's: every sequence, and the tokens of those that are not masked. Skipped groups count, so that
// what a completion contributes does not depend on whether others have a signal.
Normalisers count(std::span<const Group> groups, bool mask_truncated, int64_t max_completion_length) {
  Normalisers n{.max_completion_length = max_completion_length};
  for (const Group& group : groups) {
    n.sequences += static_cast<int64_t>(group.rollouts.size());
    for (const Rollout& rollout : group.rollouts)
      if (!is_masked(rollout, mask_truncated)) n.tokens += static_cast<int64_t>(rollout.tokens.size());
  }
  return n;
}

}  // namespace

Updater::Updater(Policy& policy, const Policy* reference, Optimizer& optimizer, const Config& config, Comm& comm)
    : policy_(policy), reference_(reference), optimizer_(optimizer), config_(config), comm_(comm),
      loss_(make_loss_config(config.algorithm)), runner_(policy, optimizer, config.trainer.gradient_checkpointing) {
  CHECK(loss_.beta == 0 || reference != nullptr, "algorithm.beta {} without a reference", loss_.beta);
}

void Updater::update(std::span<const Group> groups, std::span<const std::string> names, int64_t step, Metrics& metrics,
                     const Exec& ex, ActivationTape* tape) {
  const bool all_groups = loss_.beta > 0 || !config_.trainer.skip_zero_advantage;
  const bool any_signal = std::ranges::any_of(groups, &Group::has_signal);
  const float temperature = config_.rollout.temperature;
  const Normalisers normalisers = count(groups, config_.algorithm.mask_truncated_completions, config_.rollout.max_completion_length);
  std::vector<TrainPack> packs;
  if (any_signal || loss_.beta > 0) {
    packs = build_packs(pack_inputs(groups, all_groups, config_.algorithm.mask_truncated_completions),
                        config_.trainer.pack_tokens, config_.trainer.logical_ranks);
  }
  const int64_t iterations = config_.algorithm.num_iterations;
  const double rate =
      learning_rate_at(config_.optim, (step - 1) * iterations, config_.trainer.max_steps * iterations);
  metrics.set("learning_rate", rate);
  trained_tokens_ = 0;
  if (packs.empty()) {  // nothing to learn from: not even the moments' decay moves a weight
    metrics.set("loss", 0.0);
    metrics.set("grad_norm", 0.0);
    return;
  }

  reference_logprobs_.resize(loss_.beta > 0 ? packs.size() : 0);
  PackStats sum, first;
  double norm = 0;
  for (int64_t iteration = 0; iteration < iterations; ++iteration) {
    std::vector<PackStats> stats;  // of this rank's packs
    size_t first_pack = 0;
    const auto prepare = [&](size_t p, TrainState& state) {
      if (stats.empty()) first_pack = p;
      stats.emplace_back();
      stats.back().rows = static_cast<double>(packs[p].tokens.tokens.size());
      if (tape != nullptr && iteration == 0) stats.back().reused_rows = static_cast<double>(taped_rows(packs[p]));
      if (loss_.beta == 0) return;
      std::vector<float>& logprobs = reference_logprobs_[p];
      logprobs.resize(packs[p].tokens.targets.size());
      pack_logprobs(*reference_, state, packs[p].tokens, temperature, logprobs, {}, ex);
    };
    const auto gradient = [&](size_t p, int64_t row, float logprob, float entropy) {
      const TargetRef& ref = packs[p].refs[static_cast<size_t>(row)];
      const Group& group = groups[static_cast<size_t>(ref.group)];
      const Rollout& rollout = group.rollouts[static_cast<size_t>(ref.sample)];
      const float old = rollout.logprobs[static_cast<size_t>(ref.position)];
      const TokenLoss token = token_loss(logprob, old, loss_.beta > 0 ? reference_logprobs_[p][static_cast<size_t>(row)] : logprob,
                                         group.advantages[static_cast<size_t>(ref.sample)], loss_);
      if (!std::isfinite(logprob) || !std::isfinite(token.ratio) || !std::isfinite(token.loss) || !std::isfinite(token.dlogprob)) {
        fail(ExitCode::kNonFinite,
             "step {}, problem '{}', completion {}, token {}: log-prob {}, at sampling {}, loss {}; the weights are unchanged. Lower "
             "optim.learning_rate, or look at the prompt",
             step, names[static_cast<size_t>(ref.group)], ref.sample, ref.position, logprob, old, token.loss);
      }
      const double weight = token_weight(loss_, normalisers, static_cast<int64_t>(rollout.tokens.size()));
      PackStats& s = stats[p - first_pack];
      s.tokens += 1;
      s.loss += weight * static_cast<double>(token.loss);
      s.kl += static_cast<double>(token.kl);
      s.entropy += static_cast<double>(entropy);
      s.clipped_low += token.clipped_low;
      s.clipped_high += token.clipped_high;
      const double difference = std::abs(static_cast<double>(logprob) - static_cast<double>(old));
      s.logp_difference += difference;
      s.max_logp_difference = std::max(s.max_logp_difference, difference);
      s.min_ratio = std::min(s.min_ratio, static_cast<double>(token.ratio));
      s.max_ratio = std::max(s.max_ratio, static_cast<double>(token.ratio));
      return static_cast<float>(weight * static_cast<double>(token.dlogprob));
    };
    const double iteration_rate =
        learning_rate_at(config_.optim, (step - 1) * iterations + iteration, config_.trainer.max_steps * iterations);
    norm += runner_.step(packs, temperature, iteration_rate, gradient, prepare, ex, iteration == 0 ? tape : nullptr);
    const PackStats total = sum_over_ranks(stats, comm_);
    if (iteration == 0) first = total;
    sum.add(total);
  }

  trained_tokens_ = static_cast<int64_t>(sum.tokens);
  metrics.set("perf/reused_rows", sum.reused_rows / sum.rows);
  const auto times = static_cast<double>(iterations);
  metrics.set("loss", sum.loss / times);
  metrics.set("grad_norm", norm / times);
  metrics.set("entropy", sum.entropy / sum.tokens);
  if (loss_.beta > 0) metrics.set("kl", sum.kl / sum.tokens);
  metrics.set("clip_ratio/low_mean", sum.clipped_low / sum.tokens);
  metrics.set("clip_ratio/high_mean", sum.clipped_high / sum.tokens);
  metrics.set("clip_ratio/region_mean", (sum.clipped_low + sum.clipped_high) / sum.tokens);
  // Of the first iteration, when the policy is still the one that sampled: 0 and 1 exactly, or promise P2 is broken.
  metrics.set("sampling/sampling_logp_difference/mean", first.logp_difference / first.tokens);
  metrics.set("sampling/sampling_logp_difference/max", first.max_logp_difference);
  metrics.set("sampling/importance_sampling_ratio/min", first.min_ratio);
  metrics.set("sampling/importance_sampling_ratio/max", first.max_ratio);
}

}  // namespace cohort
