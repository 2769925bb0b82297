#include "trainer/distillation.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/text.h"
#include "trainer/gradient_tree.h"
#include "trainer/update_batch.h"

namespace cohort {

double add_teacher_advantages(std::span<Group> groups, std::span<const std::vector<std::vector<float>>> logprobs, const AlgorithmSection& a) {
  CHECK(groups.size() == logprobs.size(), "{} groups, the teacher's log-probs are of {}", groups.size(), logprobs.size());
  double sum = 0, count = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    Group& group = groups[g];
    const bool of_tokens = !group.token_advantages.empty();
    group.token_advantages.resize(group.rollouts.size());
    for (size_t i = 0; i < group.rollouts.size(); ++i) {
      const std::vector<float>& recorded = group.rollouts[i].logprobs;
      std::vector<float>& advantages = group.token_advantages[i];
      // Completions that the loss does not see (masked, not selected) have none of their own.
      if (!of_tokens || advantages.empty()) advantages.assign(recorded.size(), group.advantages[i]);
      CHECK(advantages.size() == recorded.size(), "completion {} has {} tokens and {} advantages", i, recorded.size(), advantages.size());
      for (size_t t = 0; t < recorded.size(); ++t) {
        const double nearer = static_cast<double>(logprobs[g].at(i).at(t)) - static_cast<double>(recorded[t]);
        advantages[t] = static_cast<float>(static_cast<double>(advantages[t]) + static_cast<double>(a.teacher_coef) * nearer);
        group.has_signal = group.has_signal || (advantages[t] != 0 && is_selected(group, i));
        sum -= nearer, count += 1;
      }
    }
  }
  return count > 0 ? sum / count : 0;
}

void check_same_vocabulary(const LoadedModel& student, const LoadedModel& teacher) {
  const std::string where = teacher.source.string();
  const int64_t mine = student.policy->config.vocab_size, theirs = teacher.policy->config.vocab_size;
  for (int32_t id = 0; id < std::max(student.tokenizer.vocab_size(), teacher.tokenizer.vocab_size()); ++id) {
    const std::string ours = student.tokenizer.token(id), other = teacher.tokenizer.token(id);
    CHECK_INPUT(ours == other, "algorithm.teacher: {}: its token {} is '{}', the student's is '{}'; allowed: a teacher of the student's vocabulary, as both "
                "must read the same tokens", where, id, printable(other), printable(ours));
  }
  CHECK_INPUT(mine == theirs, "algorithm.teacher: {}: its vocabulary has {} tokens, the student's {}; allowed: as many", where, theirs, mine);
}

Teacher::Teacher(const Config& config, const LoadedModel& student, const Exec& ex)
    : config_(config), model_(load_model(config.algorithm.teacher, config.model.dtype, 1, ex, PolicyUse::inference)) {
  require_language_model(model_.policy->config);
  check_same_vocabulary(student, model_);
}

std::vector<std::vector<std::vector<float>>> Teacher::logprobs(std::span<const Group> groups, std::span<const std::string> names, int64_t step,
                                                               Comm& comm, const Exec& ex) {
  const std::vector<TrainPack> packs = pack_everything(groups, config_);
  const LogicalRange mine = logical_range(static_cast<int>(config_.trainer.logical_ranks), comm.rank(), comm.size());
  std::vector<std::vector<float>> own;
  for (const TrainPack& pack : packs) {
    if (pack.logical_rank < mine.first || pack.logical_rank >= mine.last) continue;
    const int64_t rows = std::ssize(pack.tokens.tokens), targets = std::ssize(pack.tokens.targets);
    if (!state_ || state_->limits().tokens < rows || state_->limits().targets < targets) {
      const int64_t most_rows = state_ ? std::max(rows, state_->limits().tokens) : rows, most_targets = state_ ? std::max(targets, state_->limits().targets) : targets;
      state_.reset();  // free the smaller one first
      state_ = std::make_unique<TrainState>(*model_.policy, most_rows, most_targets, /*checkpointing=*/true);  // one layer's activations
    }
    std::vector<float>& logprobs = own.emplace_back(pack.tokens.targets.size());
    pack_logprobs(*model_.policy, *state_, pack.tokens, config_.rollout.temperature, logprobs, {}, ex);
    for (size_t row = 0; row < logprobs.size(); ++row) {
      const TargetRef& ref = pack.refs[row];
      if (!std::isfinite(logprobs[row]))
        fail(ExitCode::kNonFinite, "step {}, problem '{}', completion {}, token {}: the teacher's log-prob is {}; the weights are unchanged. The teacher "
             "({}) overflows there: use model.dtype: float32", step, names[static_cast<size_t>(ref.group)], ref.sample, ref.position, logprobs[row],
             config_.algorithm.teacher);
    }
  }
  const std::vector<float> all = gather_in_order(own, comm, "teacher's log-probs");
  std::vector<std::vector<std::vector<float>>> result;
  for (const Group& group : groups) {
    result.emplace_back();
    for (const Rollout& rollout : group.rollouts) result.back().emplace_back(rollout.tokens.size());
  }
  size_t at = 0;
  for (const TrainPack& pack : packs)
    for (const TargetRef& ref : pack.refs)
      result[static_cast<size_t>(ref.group)][static_cast<size_t>(ref.sample)][static_cast<size_t>(ref.position)] = all.at(at++);
  return result;
}

}  // namespace cohort
