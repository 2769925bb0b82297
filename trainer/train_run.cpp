#include "trainer/train_run.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/check.h"
#include "trainer/deadlines.h"
#include "trainer/group_advantages.h"
#include "trainer/reference.h"
#include "trainer/reward_metrics.h"
#include "trainer/select_completions.h"

namespace cohort {
namespace {

struct Moments {
  double count = 0, sum = 0, squares = 0;
  void add(double value) { count += 1, sum += value, squares += value * value; }
  double mean() const { return count > 0 ? sum / count : 0; }
};

}  // namespace

TrainRun::TrainRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer,
                   const Exec& ex)
    : RunFrame(config, comm, watchdog, signals, observer, ex) {
  // What is sampled for the next step comes of older weights than a checkpoint holds, so the checkpoint holds the completions.
  before_save_ = [this] {
    if (samples_ahead(config_, state_.step)) complete_batch();
  };
  checkpoint_files_ = [this](const std::filesystem::path& folder) {
    Json files = Json::object();
    if (config_.algorithm.ref_model_sync_steps > 0) files["reference"] = write_reference(*reference_, folder);
    if (filter_) files["groups"] = filter_->save(folder);
    if (curriculum_) files["curriculum"] = curriculum_->save(folder);
    if (next_) files["batch"] = save_batch(*next_, folder);
    return files;
  };
  enter("load", 0, config_.comm.load_timeout_s);
  load();
  start_policy();
  watchdog_.leave();
}

TrainRun::~TrainRun() = default;

// Each reward and kind once in a run: the metrics count the rest.
void TrainRun::warn_of_missing(const std::vector<MissingScores>& missing) {
  for (const MissingScores& of : missing) {
    const std::string& name = rewards_.specs()[of.reward].name;
    const char* kind = of.kind == Missing::timeout ? "timeout" : "error";
    if (!warned_.insert(fmt::format("{}/{}", name, kind)).second) continue;
    observer_.warning(fmt::format("step {}: {}; such completions go without, and are counted in rewards/{}/{}{}",
                                  state_.step + 1, missing_text(of, rewards_), name, kind,
                                  of.kind == Missing::timeout ? " (comm.reward_timeout_s says how long is waited)" : ""));
  }
}

void TrainRun::set_advantages(std::vector<Group>& groups) {
  std::vector<std::optional<double>> totals, group_totals;
  Moments spread, length, zero_std, clipped, kept, kl, selected;
  double shortest = INFINITY, longest = 0;
  if (config_.algorithm.use_kl_in_reward) {
    enter("update", next_step(), config_.comm.update_timeout_s);
    updater_->set_reference_logprobs(groups, names_, next_step(), exec());
    for (const std::vector<double>& tokens : kl_penalties(groups, config_.algorithm))
      for (const double penalty : tokens) kl.add(penalty / static_cast<double>(config_.algorithm.beta));
    metrics_.set("kl", kl.mean());
  }
  select_completions(groups, config_.algorithm);
  for (const bool constant : set_group_advantages(groups, config_)) zero_std.add(constant ? 1 : 0);
  if (token_weights_) {
    enter("update", next_step(), config_.comm.update_timeout_s);
    const Clock::time_point start = Clock::now();
    const TokenWeights::Shares shares = token_weights_->set(groups, model_->tokenizer, exec());
    metrics_.set("token_weight/within", shares.within);
    metrics_.set("token_weight/unfinished", shares.unfinished);
    metrics_.set("timing_s/token_weights", seconds_since(start));
  }
  if (teacher_) {
    enter("update", next_step(), config_.comm.update_timeout_s);
    const auto logprobs = teacher_->logprobs(groups, names_, next_step(), comm_, exec());
    metrics_.set("teacher/reverse_kl", add_teacher_advantages(groups, logprobs, config_.algorithm));
  }
  for (const Group& group : groups) {
    group_totals.clear();
    for (size_t i = 0; i < group.scores.size(); ++i) {
      group_totals.push_back(group.scores[i].total);
      if (is_selected(group, i) && group.scores[i].total) selected.add(*group.scores[i].total);
    }
    spread.add(mean_and_std(group_totals).second);
    totals.insert(totals.end(), group_totals.begin(), group_totals.end());
    for (const Rollout& rollout : group.rollouts) {
      const auto tokens = static_cast<double>(rollout.tokens.size());
      length.add(tokens);
      shortest = std::min(shortest, tokens), longest = std::max(longest, tokens);
      clipped.add(rollout.finish_reason == FinishReason::length ? 1 : 0);
      kept.add(static_cast<double>(rollout.kept_mass));
    }
  }
  const bool judged = std::ranges::any_of(totals, [](const auto& total) { return total.has_value(); });
  if (!judged && !missing_.empty())
    fail(ExitCode::kRankFailed, "step {}: no completion has a score: {}", state_.step + 1,
         missing_text(missing_.front(), rewards_));
  CHECK_INPUT(judged, "step {}: no reward could judge any completion: do the rows of {} have the columns that the rewards need?",
              state_.step + 1, data_.train.name);
  metrics_.set("reward", mean_and_std(totals).first);
  if (config_.rollout.num_generations > 1) {  // one completion has no spread
    metrics_.set("reward_std", spread.mean());
    metrics_.set("frac_reward_zero_std", zero_std.mean());
  }
  set_reward_metrics(metrics_, rewards_, groups);
  if (config_.algorithm.select_completions != "all") metrics_.set("selected/reward", selected.mean());
  set_part_metrics(groups);
  metrics_.set("completions/mean_length", length.mean());
  metrics_.set("completions/min_length", shortest);
  metrics_.set("completions/max_length", longest);
  metrics_.set("completions/clipped_ratio", clipped.mean());
  metrics_.set("sampling/kept_mass", kept.mean());
}

// Of each source of a mixture: its part of the step, and how good its completions are.
void TrainRun::set_part_metrics(const std::vector<Group>& groups) {
  for (const DataPart& part : data_.train.parts) {
    double prompts = 0;
    Moments reward;
    for (const Group& group : groups) {
      if (group.problem < part.begin || group.problem >= part.end) continue;
      prompts += 1;
      for (const RewardSet::Row& row : group.scores)
        if (row.total) reward.add(*row.total);
    }
    metrics_.set(fmt::format("data/{}/prompts", part.name), prompts);
    if (reward.count > 0) metrics_.set(fmt::format("data/{}/reward", part.name), reward.mean());
  }
}

void TrainRun::update(const std::vector<Group>& groups) {
  enter("update", next_step(), config_.comm.update_timeout_s);
  const Clock::time_point start = Clock::now();
  updater_->update(groups, names_, state_.step + 1, metrics_, exec(), tape_ ? &*tape_ : nullptr);
  const double seconds = seconds_since(start);
  end_update();
  const AlgorithmSection& a = config_.algorithm;
  if (a.ref_model_sync_steps > 0 && state_.step % a.ref_model_sync_steps == 0)
    mix_reference(*reference_, *model_->policy, a.ref_model_mixup_alpha, exec());
  if (a.use_adaptive_entropy)
    state_.extra["entropy_bonus"] = {updater_->entropy_bonus().coefficient, updater_->entropy_bonus().last_entropy};
  metrics_.set("num_tokens", state_.num_tokens);
  metrics_.set("epoch", epoch_);
  metrics_.set("timing_s/update", seconds);
  metrics_.set("timing_s/comm", updater_->trained_tokens() > 0 ? optimizer_->comm_seconds() : 0.0);
  metrics_.set("perf/update_tokens_per_s", static_cast<double>(updater_->trained_tokens()) / std::max(1e-9, seconds));
}

void TrainRun::end_step(const std::vector<Group>& groups) {
  append_metrics();
  const int64_t every = config_.log.completions_steps;
  if (every > 0 && (state_.step == 1 || state_.step % every == 0))
    dir_.write_completions(state_.step, groups, names_, config_.reward, model_->tokenizer);
  write_trace();
  if (comm_.rank() == 0) observer_.step(state_.step, config_.trainer.max_steps, metrics_);
}

// Where a warm start has left the adapter's base.
std::filesystem::path TrainRun::own_base() const {
  const bool warm = config_.trainer.warm_start && config_.trainer.warm_start->steps > 0;
  return warm ? dir_.warm_start() : std::filesystem::path();
}

TrainSummary TrainRun::finish() {
  commit_saved(/*wait=*/true);
  TrainSummary summary;
  const auto accuracy = [&](const char* key) {
    return state_.extra.contains(key) ? std::optional(state_.extra[key].get<double>()) : std::nullopt;
  };
  summary.accuracy_before = accuracy("accuracy_before");
  summary.accuracy_after_warm_start = accuracy("accuracy_after_warm_start");
  for (const Json& stage : state_.extra.value("evaluations", Json::array())) {
    EvalStage& row = summary.evaluations.emplace_back(EvalStage{.name = stage["stage"]});
    for (const auto& [name, value] : stage["metrics"].items()) row.metrics.push_back({name, value});
  }
  summary.steps = state_.step;
  summary.run_dir = dir_.path();
  summary.stopped_early = stopped_ && state_.step < config_.trainer.max_steps;
  if (!summary.stopped_early) {
    if (evaluated_step_ != state_.step || !last_accuracy_)
      if (measure("accuracy after GRPO", fmt::format("step_{}", state_.step)) && state_.step > 0) keep_best();
    summary.accuracy_after = last_accuracy_;
    if (last_accuracy_) summary.evaluations.push_back({"after GRPO", evaluated_});
    if (const Json best = state_.extra.value("best", Json()); !config_.trainer.metric_for_best_model.empty() && !best.is_null())
      summary.best_step = best["step"].get<int64_t>(), summary.best_model = dir_.best_model();
    enter("checkpoint", state_.step, config_.comm.checkpoint_timeout_s);
    const Span span(ex_.trace, "checkpoint");
    const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
    write_trained(dir_.final_model(), dir_.final_merged(), own_base());
    comm_.barrier("final model");
    summary.final_model = dir_.final_model();
  }
  write_trace();
  finish_trackers();
  summary.seconds = seconds_since(start_);
  return summary;
}

}  // namespace cohort
