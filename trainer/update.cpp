#include "trainer/update.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "trainer/non_finite.h"

namespace cohort {
namespace {

// Of the policy the loss says where; the reference's own are said here, as it is another model that has to be looked at.
void require_finite_reference(const TrainPack& pack, std::span<const float> logprobs, int64_t step, std::span<const std::string> names) {
  for (size_t row = 0; row < logprobs.size(); ++row) {
    if (std::isfinite(logprobs[row])) continue;
    const TargetRef& ref = pack.refs[row];
    fail(ExitCode::kNonFinite,
         "step {}, problem '{}', completion {}, token {}: the reference model's log-prob is {}; the weights are unchanged. The reference "
         "(algorithm.beta) overflows there: use model.dtype: float32, look at its weights (algorithm.ref_model_sync_steps takes up the policy's), or "
         "set algorithm.beta to 0",
         step, names[static_cast<size_t>(ref.group)], ref.sample, ref.position, logprobs[row]);
  }
}

// A completion's targets follow each other in one pack: where those of `begin`'s end.
size_t end_of_completion(const TrainPack& pack, size_t begin) {
  size_t end = begin;
  while (end < pack.refs.size() && pack.refs[end].group == pack.refs[begin].group && pack.refs[end].sample == pack.refs[begin].sample) ++end;
  return end;
}

}  // namespace

Updater::Updater(Policy& policy, const Policy* reference, Optimizer& optimizer, const Config& config, Comm& comm)
    : policy_(policy), reference_(reference), optimizer_(optimizer), config_(config), comm_(comm),
      loss_(make_loss_config(config.algorithm)), correction_(make_rollout_correction(config.algorithm)), bonus_(config.algorithm),
      runner_(policy, optimizer, config.trainer.gradient_checkpointing) {
  CHECK(config.algorithm.beta == 0 || reference != nullptr, "algorithm.beta {} without a reference", config.algorithm.beta);
}

void Updater::set_reference_logprobs(std::span<Group> groups, std::span<const std::string> names, int64_t step, const Exec& ex) {
  CHECK(reference_ != nullptr, "log-probs of a reference that is not there");
  const std::vector<TrainPack> packs = pack_everything(groups, config_);
  std::vector<std::vector<float>> mine;
  if (!packs.empty()) {
    runner_.for_each(packs, [&](size_t p, TrainState& state) {
      std::vector<float>& logprobs = mine.emplace_back(packs[p].tokens.targets.size());
      pack_logprobs(*reference_, state, packs[p].tokens, config_.rollout.temperature, logprobs, {}, ex);
      require_finite_reference(packs[p], logprobs, step, names);
    });
  }
  const std::vector<float> all = gather_in_order(mine, comm_, "reference log-probs");
  for (Group& group : groups) {
    group.reference_logprobs.clear();
    for (const Rollout& rollout : group.rollouts) group.reference_logprobs.emplace_back(rollout.tokens.size());
  }
  size_t at = 0;
  for (const TrainPack& pack : packs)
    for (const TargetRef& ref : pack.refs)
      groups[static_cast<size_t>(ref.group)].reference_logprobs[static_cast<size_t>(ref.sample)][static_cast<size_t>(ref.position)] = all.at(at++);
}

// Tokens of the whole batch compete, whichever rank runs them: all are run once before any has a gradient.
void Updater::find_threshold(const UpdateBatch& batch, Known& known, const Exec& ex, ActivationTape* tape) {
  std::vector<std::vector<float>> mine;
  runner_.for_each(batch.packs, [&](size_t p, TrainState& state) {
    const TokenPack& tokens = batch.packs[p].tokens;
    known.logprobs[p].resize(tokens.targets.size());
    std::vector<float>& entropies = mine.emplace_back(tokens.targets.size());
    pack_logprobs(policy_, state, tokens, config_.rollout.temperature, known.logprobs[p], entropies, ex);
    known.entropies[p] = entropies;
  }, tape);
  const std::vector<float> all = gather_in_order(mine, comm_, "entropies");
  CHECK(!all.empty(), "the entropies of no tokens");
  for (const float entropy : all)
    if (!std::isfinite(entropy)) return;  // the loss says where
  known.threshold = entropy_threshold(all, config_.algorithm.top_entropy_quantile);
  known.active_tokens = static_cast<double>(
      std::ranges::count_if(all, [&](float entropy) { return static_cast<double>(entropy) >= known.threshold; }));
}

// Of what the policy is before the step's first update; for corrections of completions also their weights.
void Updater::find_old(UpdateBatch& batch, const Exec& ex, ActivationTape* tape) {
  const bool recorded = batch.is_on_policy(policy_.version);
  runner_.for_each(batch.packs, [&](size_t p, TrainState& state) {
    const TrainPack& pack = batch.packs[p];
    std::vector<float>& logprobs = batch.old_logprobs[p];
    std::vector<float> then;
    for (const TargetRef& ref : pack.refs) then.push_back(batch.rollout_of(ref).logprobs[static_cast<size_t>(ref.position)]);
    logprobs = then;
    if (!recorded) pack_logprobs(policy_, state, pack.tokens, config_.rollout.temperature, logprobs, {}, ex);
    if (!correction_.of_sequences()) return;
    for (size_t begin = 0, end = 0; begin < pack.refs.size(); begin = end) {
      end = end_of_completion(pack, begin);
      const double weight = correction_weight(sequence_log_ratio(std::span(logprobs).subspan(begin, end - begin), std::span(then).subspan(begin, end - begin)), correction_);
      batch.corrections[p].insert(batch.corrections[p].end(), end - begin, static_cast<float>(weight));
    }
  }, tape);
}

// What the policy term of a token counts. Without log-probs of the policy that the update began with, that is the policy as it is.
double Updater::correction_of(const UpdateBatch& batch, size_t pack, int64_t row, float logprob) const {
  if (!correction_.is_on()) return 1;
  const auto at = static_cast<size_t>(row);
  if (correction_.of_sequences()) return static_cast<double>(batch.corrections[pack][at]);
  const TargetRef& ref = batch.packs[pack].refs[at];
  const float old = batch.old_logprobs[pack].empty() ? logprob : batch.old_logprobs[pack][at];
  const float recorded = batch.rollout_of(ref).logprobs[static_cast<size_t>(ref.position)];
  return correction_weight(static_cast<double>(old) - static_cast<double>(recorded), correction_);
}

TokenInput Updater::input_of(const UpdateBatch& batch, const Known& known, size_t pack, int64_t row, float logprob, float entropy) const {
  const TargetRef& ref = batch.packs[pack].refs[static_cast<size_t>(row)];
  const Group& group = batch.group_of(ref);
  const auto sample = static_cast<size_t>(ref.sample), position = static_cast<size_t>(ref.position);
  TokenInput token{.logprob = logprob,
                   .old_logprob = group.rollouts[sample].logprobs[position],
                   .ref_logprob = loss_.beta > 0 ? batch.references[pack][static_cast<size_t>(row)] : logprob,
                   .advantage = group.token_advantages.empty() ? group.advantages[sample] : group.token_advantages[sample][position]};
  if (!group.token_weights.empty()) token.weight = group.token_weights[sample][position];
  if (static_cast<double>(entropy) < known.threshold) token.weight = 0;
  if (correction_.proximal) token.old_logprob = batch.old_logprobs[pack].empty() ? logprob : batch.old_logprobs[pack][static_cast<size_t>(row)];
  if (correction_.is_on()) token.weight *= static_cast<float>(correction_of(batch, pack, row, logprob));
  return token;
}

void Updater::find_sequences(const UpdateBatch& batch, size_t p, Known& known, TrainState& state, const Exec& ex) {
  const TrainPack& pack = batch.packs[p];
  std::vector<float>& logprobs = known.logprobs[p];
  if (logprobs.empty() && policy_.version == first_version_) logprobs = batch.old_logprobs[p];
  if (logprobs.empty() && batch.is_on_policy(policy_.version)) {
    for (const TargetRef& ref : pack.refs) logprobs.push_back(batch.rollout_of(ref).logprobs[static_cast<size_t>(ref.position)]);
  } else if (logprobs.empty()) {
    logprobs.resize(pack.refs.size());
    pack_logprobs(policy_, state, pack.tokens, config_.rollout.temperature, logprobs, {}, ex);
  }
  std::vector<TokenInput> tokens;
  for (size_t begin = 0; begin < pack.refs.size(); begin += tokens.size()) {
    tokens.clear();
    for (size_t row = begin, end = end_of_completion(pack, begin); row < end; ++row) {
      const float entropy = known.entropies[p].empty() ? 0.0f : known.entropies[p][row];
      tokens.push_back(input_of(batch, known, p, static_cast<int64_t>(row), logprobs[row], entropy));
    }
    known.sequences[p].insert(known.sequences[p].end(), tokens.size(), sequence_term(tokens, loss_));
  }
}

double Updater::optimizer_step(UpdateBatch& batch, int64_t step, double learning_rate, PackStats& total, const Exec& ex,
                               ActivationTape* tape) {
  const std::vector<TrainPack>& packs = batch.packs;
  const float temperature = config_.rollout.temperature;
  Known known{.logprobs = std::vector<std::vector<float>>(packs.size()),
              .entropies = std::vector<std::vector<float>>(packs.size()),
              .sequences = std::vector<std::vector<SequenceTerm>>(packs.size())};
  known.active_tokens = static_cast<double>(batch.normalisers.tokens);
  if (config_.algorithm.top_entropy_quantile < 1) find_threshold(batch, known, ex, tape);
  applied_bonus_ = bonus_.applied(config_.algorithm);
  const double bonus_of_token = applied_bonus_ / known.active_tokens;
  std::vector<PackStats> stats;  // of this rank's packs
  size_t first_pack = 0;
  const auto prepare = [&](size_t p, TrainState& state) {
    if (stats.empty()) first_pack = p;
    stats.emplace_back();
    stats.back().rows = static_cast<double>(packs[p].tokens.tokens.size());
    if (tape != nullptr) stats.back().reused_rows = static_cast<double>(taped_rows(packs[p]));
    if (std::vector<float>& logprobs = batch.references[p]; loss_.beta > 0 && logprobs.empty()) {
      logprobs.resize(packs[p].tokens.targets.size());
      pack_logprobs(*reference_, state, packs[p].tokens, temperature, logprobs, {}, ex);
      require_finite_reference(packs[p], logprobs, step, batch.names);
    }
    if (loss_.sequence_level) find_sequences(batch, p, known, state, ex);
  };
  const auto gradient = [&](size_t p, int64_t row, float logprob, float entropy) {
    const TargetRef& ref = packs[p].refs[static_cast<size_t>(row)];
    const TokenInput input = input_of(batch, known, p, row, logprob, entropy);
    const float recorded = batch.rollout_of(ref).logprobs[static_cast<size_t>(ref.position)];
    const TokenLoss token = token_loss(input, loss_, loss_.sequence_level ? &known.sequences[p][static_cast<size_t>(row)] : nullptr);
    if (!std::isfinite(logprob) || !std::isfinite(entropy) || !std::isfinite(token.ratio) || !std::isfinite(token.loss) ||
        !std::isfinite(token.dlogprob)) {
      fail(ExitCode::kNonFinite,
           "step {}, problem '{}', completion {}, token {}: log-prob {}, at sampling {}, loss {}; the weights are unchanged. Look at the prompt, or {}",
           step, batch.names[static_cast<size_t>(ref.group)], ref.sample, ref.position, logprob, recorded, token.loss, kGoOnSlower);
    }
    const double weight = token_weight(loss_, batch.normalisers, static_cast<int64_t>(batch.rollout_of(ref).tokens.size()));
    const bool active = static_cast<double>(entropy) >= known.threshold;
    const double bonus = active ? bonus_of_token : 0;
    PackStats& s = stats[p - first_pack];
    s.tokens += 1;
    s.loss += weight * static_cast<double>(token.loss);
    s.kl += static_cast<double>(token.kl);
    s.entropy += static_cast<double>(entropy);
    if (active) s.active_tokens += 1, s.active_entropy += static_cast<double>(entropy);
    s.bonus += bonus * static_cast<double>(entropy);
    if (!loss_.sequence_level || ref.position == 0) {  // one ratio a sequence counts once, as TRL has it
      s.clipped_low += token.clipped_low;
      s.clipped_high += token.clipped_high;
    }
    const double difference = std::abs(static_cast<double>(logprob) - static_cast<double>(recorded));
    s.logp_difference += difference;
    s.max_logp_difference = std::max(s.max_logp_difference, difference);
    const double ratio = correction_.is_on() ? correction_of(batch, p, row, logprob) : static_cast<double>(token.ratio);
    s.min_ratio = std::min(s.min_ratio, ratio);
    s.max_ratio = std::max(s.max_ratio, ratio);
    s.correction += ratio;
    s.masked += ratio == 0;
    return RowGradient(static_cast<float>(weight * static_cast<double>(token.dlogprob)), static_cast<float>(-bonus));
  };
  runner_.name_packs([&](const TrainPack& pack) {
    return fmt::format("step {}, problem '{}'", step, batch.names[static_cast<size_t>(pack.refs.front().group)]);
  });
  const double norm = runner_.step(packs, temperature, learning_rate, gradient, prepare, ex, tape);
  total = sum_over_ranks(stats, comm_);
  if (total.active_tokens > 0) bonus_.observe(config_.algorithm, total.active_entropy / total.active_tokens);
  return norm;
}

void Updater::update(std::span<const Group> groups, std::span<const std::string> names, int64_t step, Metrics& metrics,
                     const Exec& ex, ActivationTape* tape) {
  std::vector<UpdateBatch> batches = make_batches(groups, names, config_);
  const int64_t iterations = config_.algorithm.num_iterations;
  const auto updates = iterations * static_cast<int64_t>(batches.size());
  const auto rate = [&](int64_t done) {
    return learning_rate_at(config_.optim, (step - 1) * updates + done, config_.trainer.max_steps * updates);
  };
  metrics.set("learning_rate", rate(0));
  trained_tokens_ = 0;
  first_version_ = policy_.version;
  if (old_policy_takes_a_pass(config_.algorithm))
    for (UpdateBatch& batch : batches)
      if (!batch.packs.empty()) find_old(batch, ex, tape);
  PackStats sum, first;
  double norm = 0, times = 0, ratios = 0;  // ratios: all that could have been clipped, also of groups that are skipped
  for (int64_t update = 0; update < updates; ++update) {
    UpdateBatch& batch = batches[static_cast<size_t>(update) % batches.size()];
    ratios += static_cast<double>(loss_.sequence_level ? batch.normalisers.sequences : batch.normalisers.tokens);
    if (batch.packs.empty()) continue;
    PackStats total;
    norm += optimizer_step(batch, step, rate(update), total, ex, policy_.version == first_version_ ? tape : nullptr);
    if (times == 0) first = total;
    times += 1;
    sum.add(total);
  }
  trained_tokens_ = static_cast<int64_t>(sum.tokens);
  set_clip_metrics(metrics, sum, ratios);
  if (times == 0) {  // nothing to learn from: not even the moments' decay moves a weight
    metrics.set("loss", 0.0);
    metrics.set("grad_norm", 0.0);
    return;
  }
  set_metrics(metrics, sum, first, norm, times);
}

// Shares of all tokens (of all sequences, where a sequence has one ratio), as TRL has them: what has no advantage is never clipped, whether
// or not it was run.
void Updater::set_clip_metrics(Metrics& metrics, const PackStats& sum, double ratios) const {
  const auto share = [&](double clipped) { return ratios > 0 ? clipped / ratios : 0.0; };
  if (loss_.policy.kind == PolicyLoss::cispo) metrics.set("cispo_clip_ratio", share(sum.clipped_high));
  if (loss_.policy.kind != PolicyLoss::clip) return;
  metrics.set("clip_ratio/low_mean", share(sum.clipped_low));
  metrics.set("clip_ratio/high_mean", share(sum.clipped_high));
  metrics.set("clip_ratio/region_mean", share(sum.clipped_low + sum.clipped_high));
}

void Updater::set_metrics(Metrics& metrics, const PackStats& sum, const PackStats& first, double norm, double times) const {
  metrics.set("perf/reused_rows", sum.reused_rows / sum.rows);
  metrics.set("loss", (sum.loss - sum.bonus) / times);
  metrics.set("grad_norm", norm / times);
  metrics.set("entropy", sum.entropy / sum.tokens);
  if (has_entropy_bonus(config_.algorithm)) {
    metrics.set("policy_loss", sum.loss / times);
    metrics.set("entropy_coef", applied_bonus_);
  }
  if (loss_.beta > 0) metrics.set("kl", sum.kl / sum.tokens);
  // Of the first update. When the policy is still the one that sampled: 0 and 1 exactly, or promise P2 is broken. With rollout_correction the ratio
  // is what tokens count by it, as TRL has it.
  metrics.set("sampling/sampling_logp_difference/mean", first.logp_difference / first.tokens);
  metrics.set("sampling/sampling_logp_difference/max", first.max_logp_difference);
  metrics.set("sampling/importance_sampling_ratio/min", first.min_ratio);
  metrics.set("sampling/importance_sampling_ratio/max", first.max_ratio);
  if (!correction_.is_on()) return;
  metrics.set("sampling/importance_sampling_ratio/mean", first.correction / first.tokens);
  metrics.set("sampling/importance_sampling_ratio/masked", first.masked / first.tokens);
}

}  // namespace cohort
