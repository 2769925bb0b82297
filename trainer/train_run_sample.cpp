// What a run's steps learn from (train_run.h): prompts to scored completions, in this step or, with rollout.staleness 1, beside the one before.
#include <algorithm>
#include <iterator>
#include <utility>

#include "core/check.h"
#include "trainer/deadlines.h"
#include "trainer/train_run.h"

namespace cohort {

struct TrainRun::Draw {
  std::vector<const Problem*> problems;
  std::vector<Group> groups;  // without completions yet
  int64_t number;             // the key of its completions
  Clock::time_point start;
  ExperienceMaker maker;
  std::shared_ptr<ExperienceMaker::Share> share = {};  // once this rank has made its own, beside training; in so many seconds
  double seconds = 0;
};

std::vector<Group> TrainRun::sample_groups() {
  complete_batch();
  StepBatch batch = std::move(*next_);
  next_.reset();
  metrics_.set_all(batch.metrics.values());
  state_.num_tokens += batch.num_tokens;
  epoch_ = batch.epoch;
  missing_ = std::move(batch.missing);
  names_.clear();
  for (const Group& group : batch.groups) names_.push_back(data_.train.problems[static_cast<size_t>(group.problem)].id);
  if (samples_ahead(config_, next_step())) begin_batch(next_step() + 1);
  return std::move(batch.groups);
}

// With the weights as they are now, that is before the update of the step in progress.
void TrainRun::begin_batch(int64_t step) {
  next_.emplace();
  if (filter_ && filter_->mixed() >= config_.trainer.prompts_per_step) return;  // it needs none
  draw_ = begin_draw(step, overlap_->sampling());
  overlap_->begin(*model_->policy, [draw = draw_, samples = config_.rollout.num_generations](const auto& entering, const auto& cancelled) {
    draw->share = draw->maker.sample(draw->problems, samples, static_cast<uint32_t>(draw->number), {}, entering, cancelled);
    draw->seconds = seconds_since(draw->start);
  });
}

// The batch of the next step: what is under way is waited for, what is missing is sampled now.
void TrainRun::complete_batch() {
  if (!next_) next_.emplace();
  StepBatch& batch = *next_;
  if (batch.complete) return;
  int64_t skipped = 0;
  const auto next_draw = [&] {
    std::shared_ptr<Draw> draw = std::exchange(draw_, nullptr);
    if (!draw) draw = begin_draw(next_step(), ex_);
    std::vector<Group> groups = finish_draw(*draw, batch);
    if (curriculum_) skipped += curriculum_->skipped();
    return groups;
  };
  if (!filter_) {
    batch.groups = next_draw();
  } else {
    const int64_t wanted = config_.trainer.prompts_per_step;
    double draws = 0;
    while (filter_->mixed() < wanted && draws < static_cast<double>(config_.algorithm.filter_groups_max_batches)) {
      filter_->add(next_draw());
      draws += 1;
    }
    batch.metrics.set("filter_groups/batches", draws);
    batch.metrics.set("filter_groups/mixed", filter_->mixed());
    batch.groups = filter_->take(wanted);
    batch.metrics.set("filter_groups/carried_over", filter_->mixed());
  }
  if (curriculum_) {
    batch.metrics.set("curriculum/skipped", skipped);
    batch.metrics.set("curriculum/measured", curriculum_->measured());
    batch.metrics.set("curriculum/pass_rate", curriculum_->mean_pass_rate());
    batch.metrics.set("curriculum/set_aside", curriculum_->set_aside());
  }
  const auto problems = static_cast<int64_t>(data_.train.problems.size());
  batch.epoch = curriculum_ ? static_cast<double>(curriculum_->position()) / static_cast<double>(problems)
                            : epoch_at((filter_ ? filter_->draws : next_step()) + 1, config_.trainer.prompts_per_step, problems);
  batch.complete = true;
}

// Of the training data, or with dynamic sampling of all that is drawn until there is enough, the part of this draw. `ex`: who samples.
std::shared_ptr<TrainRun::Draw> TrainRun::begin_draw(int64_t step, const Exec& ex) {
  const int64_t prompts = config_.trainer.prompts_per_step;
  const int64_t number = filter_ ? ++filter_->draws : step;
  std::shared_ptr<Draw> draw(new Draw{.problems = {},
                                      .groups = {},
                                      .number = number,
                                      .start = Clock::now(),
                                      .maker = {*generator_, model_->tokenizer, rewards_, comm_, ex, &lengths_, tape_ ? &*tape_ : nullptr}});
  draw->maker.reward_timeout_s = config_.comm.reward_timeout_s;
  draw->maker.work_stealing = config_.rollout.load_balancing == "work_stealing";
  for (const int64_t index : curriculum_ ? curriculum_->next(prompts, [&](int64_t at) { return order_->at(at); }) : order_->step(number, prompts)) {
    const Problem& problem = data_.train.problems[static_cast<size_t>(index)];
    draw->problems.push_back(&problem);
    draw->groups.push_back({.problem = index, .prompt = problem.tokens});
  }
  return draw;
}

// However often a rank has waited for others, it samples no longer than one that has not.
void TrainRun::enter_stage(ExperienceMaker::Stage stage, Clock::time_point since) {
  using Stage = ExperienceMaker::Stage;
  if (stage == Stage::sampling) return enter("rollout", next_step(), std::max(0.001, config_.comm.rollout_timeout_s - seconds_since(since)));
  if (stage == Stage::scoring) return enter("reward", next_step(), with_grace(config_.comm.reward_timeout_s));
  enter("collective", next_step(), with_grace(rollout_meeting_timeout(config_)));
}

// Until this rank has made its completions of the next step; the others' are not asked for.
void TrainRun::wait_for_sampling() {
  if (overlap_ && overlap_->begun())
    overlap_->wait([&](ExperienceMaker::Stage stage) { enter_stage(stage, draw_->start); });
}

// The draw's groups, scored.
std::vector<Group> TrainRun::finish_draw(Draw& draw, StepBatch& batch) {
  const int64_t samples = config_.rollout.num_generations;
  const MeetingDeadline meeting(comm_, config_, rollout_meeting_timeout(config_));
  const auto entering = [&](ExperienceMaker::Stage stage) { enter_stage(stage, draw.start); };
  ExperienceMaker& maker = draw.maker;
  const Clock::time_point start = Clock::now();
  double waited = 0;
  if (overlap_ && overlap_->begun()) {
    const Span span(ex_.trace, "rollout");
    overlap_->wait(entering);
    waited = seconds_since(start);
  }
  if (!draw.share) {
    enter("rollout", next_step(), config_.comm.rollout_timeout_s);
    if (tape_) tape_->begin(model_->policy->version);
    if (tape_ && tape_->kept() == TapeRows::inputs && model_->policy->device == Device::cpu && !model_->policy->lora)
      tape_->lie_in_gradient(optimizer_->gradients().next_buffer(), model_->policy->table);
    draw.share = maker.sample(draw.problems, samples, static_cast<uint32_t>(draw.number), {}, entering);
    draw.seconds = seconds_since(draw.start);
  }
  const Clock::time_point made = Clock::now();
  std::vector<ScoredRollout> scored = maker.exchange(std::move(draw.share), entering);
  const double seconds = draw.seconds + seconds_since(made);
  int64_t tokens = 0;
  for (size_t i = 0; i < scored.size(); ++i) {
    Group& group = draw.groups[i / static_cast<size_t>(samples)];
    tokens += static_cast<int64_t>(scored[i].rollout.tokens.size());
    batch.num_tokens += static_cast<int64_t>(scored[i].rollout.tokens.size() + group.prompt.size());
    group.rollouts.push_back(std::move(scored[i].rollout));
    group.texts.push_back(std::move(scored[i].text));
    group.scores.push_back(std::move(scored[i].scores));
    group.reasons.push_back(std::move(scored[i].reasons));
  }
  if (curriculum_) curriculum_->learn(draw.groups);
  Metrics& metrics = batch.metrics;
  const auto add = [&](const std::string& name, double value) {  // to what earlier draws of the step took
    metrics.set(name, value + (metrics.values().contains(name) ? metrics.get(name) : 0));
  };
  add("timing_s/rollout", seconds - maker.stats.reward_seconds);
  add("timing_s/reward", maker.stats.reward_seconds);
  for (size_t r = 0; r < rewards_.size(); ++r) add("timing_s/rewards/" + rewards_.specs()[r].name, maker.stats.judging_seconds[r]);
  if (overlap_) add("timing_s/rollout_wait", waited);
  batch.sampled_tokens += tokens, batch.seconds += seconds;
  metrics.set("perf/rollout_tokens_per_s", static_cast<double>(batch.sampled_tokens) / std::max(1e-9, batch.seconds));
  metrics.set("perf/rollout_batch_occupancy", maker.stats.occupancy);
  metrics.set("perf/rollout_rank_skew", maker.stats.rank_skew);
  if (maker.work_stealing) add("perf/stolen_completions", static_cast<double>(maker.stats.stolen));
  warn_of_missing(maker.stats.missing);
  std::ranges::move(maker.stats.missing, std::back_inserter(batch.missing));
  return std::move(draw.groups);
}

}  // namespace cohort
