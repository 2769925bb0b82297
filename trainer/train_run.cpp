#include "trainer/train_run.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/check.h"
#include "trainer/adapter.h"
#include "trainer/deadlines.h"
#include "trainer/group_advantages.h"
#include "trainer/reference.h"
#include "trainer/reward_metrics.h"

namespace cohort {
namespace {

// Draws of evaluations and of training steps never share a key.
constexpr uint32_t kEvalDraws = uint32_t{1} << 31;
struct Moments {
  double count = 0, sum = 0, squares = 0;
  void add(double value) { count += 1, sum += value, squares += value * value; }
  double mean() const { return count > 0 ? sum / count : 0; }
};

}  // namespace

TrainRun::TrainRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer,
                   const Exec& ex)
    : config_(config), comm_(comm), host_ranks_(ranks_on_host(comm)), watchdog_(watchdog), signals_(signals), observer_(observer), ex_(ex),
      start_(Clock::now()),
      rewards_(config.reward), dir_(config, comm) {
  enter("load", 0, config_.comm.load_timeout_s);
  if (config_.log.trace) ex_.trace = &trace_.emplace(comm_.rank());
  load();
  start_policy();
  watchdog_.leave();
}

TrainRun::~TrainRun() {
  watchdog_.leave();
  if (!trace_file_) return;
  try {  // what is left when a run fails: of this rank only, as the others may be gone
    trace_file_->append(trace_->take());
  } catch (const std::exception&) {  // the failure itself is what is told
  }
}

void TrainRun::enter(const char* section, int64_t step, double deadline_s) {
  watchdog_.enter(section, step, in_ms(deadline_s));
}

// Accuracy on the evaluation data with the weights as they are; nothing when there are no such data.
std::optional<double> TrainRun::measure(const char* stage, EvalResult* result) {
  if (data_.eval.problems.empty()) return std::nullopt;
  enter("evaluation", state_.step, with_grace(rollout_meeting_timeout(config_)));
  const MeetingDeadline meeting(comm_, config_, rollout_meeting_timeout(config_));
  const Span span(ex_.trace, "evaluate");
  const std::unique_ptr<Generator> generator = make_generator(Sampling::evaluation, data_.eval);
  EvalResult measured =
      evaluate(data_.eval, *generator, model_->tokenizer, rewards_, kEvalDraws | static_cast<uint32_t>(state_.step), comm_, ex_,
               [&](int64_t done, int64_t total) { observer_.stage(stage, done, total); }, config_.comm.reward_timeout_s);
  warn_of_missing(measured.missing);
  evaluated_step_ = state_.step;
  last_accuracy_ = measured.judged > 0 ? std::optional(measured.accuracy) : std::nullopt;
  if (result != nullptr) *result = std::move(measured);
  return last_accuracy_;
}

bool TrainRun::stop_requested() {
  commit_saved(/*wait=*/false);
  enter("collective", state_.step, config_.comm.timeout_s);
  if (!comm_.any(signals_ != nullptr && signals_->requested(), "stop request")) return false;
  observer_.message(state_.step > 0 ? fmt::format("save and stop requested: saving step {}", state_.step)
                                    : "save and stop requested: no step is done, there is nothing to save");
  if (state_.step > 0 && saved_step_ != state_.step) begin_save();
  commit_saved(/*wait=*/true);
  stopped_ = true;
  return true;
}

void TrainRun::begin_step() {
  step_start_ = Clock::now();
  metrics_ = {};
  metrics_.set("step", state_.step + 1);
}

std::vector<Group> TrainRun::sample_groups() {
  missing_.clear();
  step_tokens_ = 0, step_seconds_ = 0;
  std::vector<Group> groups;
  if (!filter_) {
    groups = draw_groups(next_step());
  } else {
    const int64_t wanted = config_.trainer.prompts_per_step;
    double draws = 0;
    while (filter_->mixed() < wanted && draws < static_cast<double>(config_.algorithm.filter_groups_max_batches)) {
      filter_->add(draw_groups(++filter_->draws));
      draws += 1;
    }
    metrics_.set("filter_groups/batches", draws);
    metrics_.set("filter_groups/mixed", filter_->mixed());
    groups = filter_->take(wanted);
    metrics_.set("filter_groups/carried_over", filter_->mixed());
  }
  names_.clear();
  for (const Group& group : groups) names_.push_back(data_.train.problems[static_cast<size_t>(group.problem)].id);
  return groups;
}

// The groups of the `draw`-th part of the training data, scored.
std::vector<Group> TrainRun::draw_groups(int64_t draw) {
  enter("rollout", next_step(), config_.comm.rollout_timeout_s);
  const int64_t samples = config_.rollout.num_generations;
  std::vector<const Problem*> problems;
  std::vector<Group> groups;
  for (const int64_t index : step_problems(draw, config_.trainer.prompts_per_step,
                                           static_cast<int64_t>(data_.train.problems.size()), config_.run.seed,
                                           config_.data.shuffle)) {
    const Problem& problem = data_.train.problems[static_cast<size_t>(index)];
    problems.push_back(&problem);
    groups.push_back({.problem = index, .prompt = problem.tokens});
  }
  ExperienceMaker maker{*generator_, model_->tokenizer, rewards_, comm_, ex_, &lengths_,
                        tape_ ? &*tape_ : nullptr};
  if (tape_) tape_->begin(model_->policy->version);
  if (tape_ && tape_->kept() == TapeRows::inputs && model_->policy->device == Device::cpu && !model_->policy->lora)
    tape_->lie_in_gradient(optimizer_->gradients().next_buffer(), model_->policy->table);
  const Clock::time_point start = Clock::now();
  maker.reward_timeout_s = config_.comm.reward_timeout_s;
  const MeetingDeadline meeting(comm_, config_, rollout_meeting_timeout(config_));
  std::vector<ScoredRollout> scored =
      maker.make(problems, samples, static_cast<uint32_t>(draw), {}, [&](ExperienceMaker::Stage stage) {
        if (stage == ExperienceMaker::Stage::scoring) return enter("reward", next_step(), with_grace(config_.comm.reward_timeout_s));
        enter("collective", next_step(), with_grace(rollout_meeting_timeout(config_)));
      });
  const double seconds = seconds_since(start);
  int64_t tokens = 0;
  for (size_t i = 0; i < scored.size(); ++i) {
    Group& group = groups[i / static_cast<size_t>(samples)];
    tokens += static_cast<int64_t>(scored[i].rollout.tokens.size());
    state_.num_tokens += static_cast<int64_t>(scored[i].rollout.tokens.size() + group.prompt.size());
    group.rollouts.push_back(std::move(scored[i].rollout));
    group.texts.push_back(std::move(scored[i].text));
    group.scores.push_back(std::move(scored[i].scores));
  }
  const auto add = [&](const std::string& name, double value) {  // to what earlier draws of the step took
    metrics_.set(name, value + (metrics_.values().contains(name) ? metrics_.get(name) : 0));
  };
  add("timing_s/rollout", seconds - maker.stats.reward_seconds);
  add("timing_s/reward", maker.stats.reward_seconds);
  for (size_t r = 0; r < rewards_.size(); ++r) add("timing_s/rewards/" + rewards_.specs()[r].name, maker.stats.judging_seconds[r]);
  step_tokens_ += tokens, step_seconds_ += seconds;
  metrics_.set("perf/rollout_tokens_per_s", static_cast<double>(step_tokens_) / std::max(1e-9, step_seconds_));
  metrics_.set("perf/rollout_batch_occupancy", maker.stats.occupancy);
  warn_of_missing(maker.stats.missing);
  std::ranges::move(maker.stats.missing, std::back_inserter(missing_));
  return groups;
}

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
  Moments spread, length, zero_std, clipped, kept, kl;
  double shortest = INFINITY, longest = 0;
  if (config_.algorithm.use_kl_in_reward) {
    enter("update", next_step(), config_.comm.update_timeout_s);
    updater_->set_reference_logprobs(groups, ex_);
    for (const std::vector<double>& tokens : kl_penalties(groups, config_.algorithm))
      for (const double penalty : tokens) kl.add(penalty / static_cast<double>(config_.algorithm.beta));
    metrics_.set("kl", kl.mean());
  }
  for (const bool constant : set_group_advantages(groups, config_)) zero_std.add(constant ? 1 : 0);
  for (const Group& group : groups) {
    group_totals.clear();
    for (const RewardSet::Row& row : group.scores) group_totals.push_back(row.total);
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
  metrics_.set("reward_std", spread.mean());
  metrics_.set("frac_reward_zero_std", zero_std.mean());
  set_reward_metrics(metrics_, rewards_, groups);
  metrics_.set("completions/mean_length", length.mean());
  metrics_.set("completions/min_length", shortest);
  metrics_.set("completions/max_length", longest);
  metrics_.set("completions/clipped_ratio", clipped.mean());
  metrics_.set("sampling/kept_mass", kept.mean());
}

void TrainRun::update(const std::vector<Group>& groups) {
  enter("update", next_step(), config_.comm.update_timeout_s);
  const Clock::time_point start = Clock::now();
  updater_->update(groups, names_, state_.step + 1, metrics_, ex_, tape_ ? &*tape_ : nullptr);
  released_.reset();
  const double seconds = seconds_since(start);
  state_.step += 1;
  const AlgorithmSection& a = config_.algorithm;
  if (a.ref_model_sync_steps > 0 && state_.step % a.ref_model_sync_steps == 0)
    mix_reference(*reference_, *model_->policy, a.ref_model_mixup_alpha, ex_);
  if (a.use_adaptive_entropy)
    state_.extra["entropy_bonus"] = {updater_->entropy_bonus().coefficient, updater_->entropy_bonus().last_entropy};
  state_.optimizer_steps = optimizer_->steps_done();
  metrics_.set("num_tokens", state_.num_tokens);
  metrics_.set("epoch", epoch_at((filter_ ? filter_->draws : state_.step) + 1, config_.trainer.prompts_per_step,
                                 static_cast<int64_t>(data_.train.problems.size())));
  metrics_.set("timing_s/update", seconds);
  metrics_.set("timing_s/comm", updater_->trained_tokens() > 0 ? optimizer_->comm_seconds() : 0.0);
  metrics_.set("perf/update_tokens_per_s", static_cast<double>(updater_->trained_tokens()) / std::max(1e-9, seconds));
}

void TrainRun::evaluate_if_due() {
  if (config_.trainer.eval_steps == 0 || state_.step % config_.trainer.eval_steps != 0) return;
  const Clock::time_point start = Clock::now();
  EvalResult result;
  if (!measure("evaluation", &result)) return;
  metrics_.set("eval/accuracy", result.accuracy);
  metrics_.set("eval/reward", result.reward);
  metrics_.set("eval/mean_length", result.mean_length);
  metrics_.set("eval/clipped_ratio", result.truncated);
  metrics_.set("timing_s/evaluation", seconds_since(start));
}

void TrainRun::end_step(const std::vector<Group>& groups) {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  metrics_.set("perf/peak_memory_gb", static_cast<double>(usage.ru_maxrss) * 1024 / 1e9);
  metrics_.set("timing_s/checkpoint", std::exchange(checkpoint_seconds_, 0.0));
  metrics_.set("timing_s/checkpoint_write", checkpoints_->seconds());
  metrics_.set("timing_s/step", seconds_since(step_start_));
  dir_.append_metrics(metrics_);
  const int64_t every = config_.log.completions_steps;
  if (every > 0 && (state_.step == 1 || state_.step % every == 0))
    dir_.write_completions(state_.step, groups, names_, config_.reward);
  write_trace();
  if (comm_.rank() == 0) observer_.step(state_.step, config_.trainer.max_steps, metrics_);
}

void TrainRun::save_if_due() {
  if (config_.trainer.save_steps > 0 && state_.step % config_.trainer.save_steps == 0) begin_save();
}

double TrainRun::checkpoint_meeting() const { return meeting_timeout(config_, config_.comm.checkpoint_timeout_s); }

// The rest is written while the run goes on.
void TrainRun::begin_save() {
  commit_saved(/*wait=*/true);
  enter("checkpoint", state_.step, config_.comm.checkpoint_timeout_s);
  const Span span(ex_.trace, "checkpoint");
  const Clock::time_point start = Clock::now();
  const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
  checkpoints_->begin(state_, identity_, config_.trainer.save_total_limit, [&](const std::filesystem::path& folder) {
    Json files = Json::object();
    if (config_.algorithm.ref_model_sync_steps > 0) files["reference"] = write_reference(*reference_, folder);
    if (filter_) files["groups"] = filter_->save(folder);
    return files;
  });
  saved_step_ = state_.step;
  checkpoint_seconds_ += seconds_since(start);
}

// The optimizer's state is about to change.
void TrainRun::release_checkpoint(const Exec& ex) {
  if (!checkpoints_->pending()) return;
  enter("checkpoint", saved_step_, config_.comm.checkpoint_timeout_s);
  const Clock::time_point start = Clock::now();
  checkpoints_->release_state(ex, cache_limit(config_, host_ranks_).free_bytes);
  checkpoint_seconds_ += seconds_since(start);
  // The ranks meet once more, when they share their weights, and one may still wait for its disk.
  released_.emplace(comm_, config_, checkpoint_meeting());
  enter("update", next_step(), config_.comm.update_timeout_s + config_.comm.checkpoint_timeout_s);
}

void TrainRun::commit_saved(bool wait) {
  if (!checkpoints_->pending()) return;
  const Span span(ex_.trace, "checkpoint");
  const Clock::time_point start = Clock::now();
  enter("checkpoint", saved_step_, config_.comm.checkpoint_timeout_s);
  if (wait) checkpoints_->wait_written();
  enter("checkpoint", saved_step_, with_grace(checkpoint_meeting()));
  const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
  if (wait) {
    checkpoints_->commit();
  } else {
    checkpoints_->commit_if_written();
  }
  checkpoint_seconds_ += seconds_since(start);
}

// What every rank has seen since the last call, into the one file. Called by all ranks.
void TrainRun::write_trace() {
  if (!trace_) return;
  const std::string mine = trace_->take();
  for (const std::vector<std::byte>& bytes : comm_.all_gather(std::as_bytes(std::span(mine)), "trace")) {
    if (!trace_file_ || trace_file_->append({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) continue;
    observer_.message(fmt::format("log.trace: trace.json has reached {} MB; later steps are not in it", TraceFile::kMaxBytes >> 20));
    trace_file_.reset();
  }
}

void TrainRun::write_final() {
  const Policy& policy = *model_->policy;
  if (!policy.lora) {
    return dir_.write_model(policy, model_files_, dir_.final_model(), rounded() ? optimizer_->gather_masters() : std::vector<float>());
  }
  const bool warm = config_.trainer.warm_start && config_.trainer.warm_start->steps > 0;
  if (config_.model.init && !warm) dir_.write_model(*policy.lora->base, model_files_, dir_.base());
  const std::filesystem::path beside = "..";  // so that a run directory may move
  dir_.write_adapter(*policy.lora, model_files_,
                     warm                 ? (beside / dir_.warm_start().filename()).string()
                     : config_.model.init ? (beside / dir_.base().filename()).string()
                                          : config_.model.path,
                     dir_.final_model());
  if (!config_.model.lora->save_merged || comm_.rank() != 0) return;
  dir_.write_model(policy, model_files_, dir_.final_merged(),
                   rounded() ? merged_masters(policy, warm ? dir_.warm_start() : model_->source) : std::vector<float>());
}

TrainSummary TrainRun::finish() {
  commit_saved(/*wait=*/true);
  TrainSummary summary;
  const auto accuracy = [&](const char* key) {
    return state_.extra.contains(key) ? std::optional(state_.extra[key].get<double>()) : std::nullopt;
  };
  summary.accuracy_before = accuracy("accuracy_before");
  summary.accuracy_after_warm_start = accuracy("accuracy_after_warm_start");
  summary.steps = state_.step;
  summary.run_dir = dir_.path();
  summary.stopped_early = stopped_ && state_.step < config_.trainer.max_steps;
  if (!summary.stopped_early) {
    if (evaluated_step_ != state_.step || !last_accuracy_) measure("accuracy after GRPO");
    summary.accuracy_after = last_accuracy_;
    enter("checkpoint", state_.step, config_.comm.checkpoint_timeout_s);
    const Span span(ex_.trace, "checkpoint");
    const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
    write_final();
    comm_.barrier("final model");
    summary.final_model = dir_.final_model();
  }
  write_trace();
  summary.seconds = seconds_since(start_);
  return summary;
}

}  // namespace cohort
