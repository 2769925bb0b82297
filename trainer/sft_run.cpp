#include "trainer/sft_run.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/check.h"
#include "trainer/loss.h"

namespace cohort {
namespace {

int64_t steps_of(const Config& config, int64_t examples) {
  if (config.trainer.max_steps >= 0) return config.trainer.max_steps;
  const int64_t all = examples_in(config.sft->num_train_epochs, examples), each = config.sft->examples_per_step;
  return (all + each - 1) / each;
}

// Means over tokens, under TRL's names. On a GPU it is not known which token is the likeliest.
void set_means(Metrics& metrics, const std::string& prefix, const TokenSums& sums) {
  metrics.set(prefix + "loss", sums.loss / sums.tokens);
  metrics.set(prefix + "entropy", sums.entropy / sums.tokens);
  if (!std::isnan(sums.right)) metrics.set(prefix + "mean_token_accuracy", sums.right / sums.tokens);
}

}  // namespace

int64_t examples_in(double num_train_epochs, int64_t examples) {
  return std::max<int64_t>(1, std::llround(num_train_epochs * static_cast<double>(examples)));
}

SftRun::SftRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer, const Exec& ex)
    : RunFrame(config, comm, watchdog, signals, observer, ex) {
  enter("load", 0, config_.comm.load_timeout_s);
  load();
  begin_optimizer(model_->source);
  updater_ = std::make_unique<SftUpdater>(*model_->policy, *optimizer_, config_.trainer, comm_);
  if (!dir_.resume_from()) {
    drop_metrics_after(0);
    if (config_.trainer.eval_before)
      if (measure("loss before")) state_.extra["eval_loss_before"] = *last_loss_;
  }
  watchdog_.leave();
}

void SftRun::load() {
  observer_.stage("loading", 0, 1);
  const MeetingDeadline meeting(comm_, config_, meeting_timeout(config_, config_.comm.load_timeout_s));
  // What can be refused is refused before the run directory is touched.
  load_model_of_config();
  CHECK_USAGE(!stop_tokens(*model_).empty(), "{}: neither config.json nor the tokenizer names a token that ends a completion",
              model_->source.string());
  data_ = load_sft_data(config_, *model_, ex_);
  identify(data_.train.fingerprint);
  steps_ = steps_of(config_, std::ssize(data_.train.examples));
  if (dir_.resume_from()) check_resumable(*dir_.resume_from(), identity_, config_);
  begin_dir();
  if (comm_.rank() == 0)
    for (const ExampleSet* set : {&data_.train, &data_.eval}) tell_filtered(*set);
  observer_.stage("loading", 1, 1);
}

void SftRun::tell_filtered(const ExampleSet& set) {
  if (set.filtered > 0)
    observer_.message(fmt::format("{}: {} of {} rows are longer than sft.max_length {} and left out", set.name, set.filtered,
                                  set.filtered + std::ssize(set.examples), config_.sft->max_length));
}

std::optional<TokenSums> SftRun::measure(const char* stage) {
  if (data_.eval.examples.empty()) return std::nullopt;
  enter("evaluation", state_.step, with_grace(config_.comm.update_timeout_s));
  const MeetingDeadline meeting(comm_, config_, meeting_timeout(config_, config_.comm.update_timeout_s));
  const Span span(ex_.trace, "evaluate");
  const TokenSums sums = updater_->evaluate(data_.eval.examples, fmt::format("evaluation after step {}", state_.step), ex_,
                                            [&](int64_t done, int64_t total) { observer_.stage(stage, done, total); });
  evaluated_step_ = state_.step;
  last_loss_ = sums.loss / sums.tokens;
  return sums;
}

std::vector<const Example*> SftRun::next_examples() const {
  const auto size = static_cast<int64_t>(data_.train.examples.size());
  const int64_t each = config_.sft->examples_per_step;
  std::vector<const Example*> examples;
  for (const int64_t index : step_problems(next_step(), each, size, config_.run.seed, config_.data.shuffle))
    examples.push_back(&data_.train.examples[static_cast<size_t>(index)]);
  if (config_.trainer.max_steps < 0 && next_step() == steps_)
    examples.resize(static_cast<size_t>(examples_in(config_.sft->num_train_epochs, size) - (steps_ - 1) * each));
  return examples;
}

void SftRun::update(const std::vector<const Example*>& examples) {
  enter("update", next_step(), config_.comm.update_timeout_s);
  const Clock::time_point start = Clock::now();
  const double rate = learning_rate_at(config_.optim, next_step() - 1, steps_);
  const TokenSums sums = updater_->step(examples, rate, fmt::format("step {}", next_step()), ex_);
  const double seconds = seconds_since(start);
  end_update();
  int64_t tokens = 0;
  for (const Example* example : examples) tokens += std::ssize(example->tokens);
  state_.num_tokens += tokens;
  set_means(metrics_, "", sums);
  metrics_.set("grad_norm", updater_->grad_norm());
  metrics_.set("learning_rate", rate);
  metrics_.set("num_tokens", state_.num_tokens);
  const auto size = static_cast<double>(data_.train.examples.size());
  metrics_.set("epoch", static_cast<double>((state_.step - 1) * config_.sft->examples_per_step + std::ssize(examples)) / size);
  metrics_.set("timing_s/update", seconds);
  metrics_.set("timing_s/comm", optimizer_->comm_seconds());
  metrics_.set("perf/update_tokens_per_s", static_cast<double>(tokens) / std::max(1e-9, seconds));
}

void SftRun::evaluate_if_due() {
  if (config_.trainer.eval_steps == 0 || state_.step % config_.trainer.eval_steps != 0) return;
  const Clock::time_point start = Clock::now();
  const std::optional<TokenSums> sums = measure("evaluation");
  if (!sums) return;
  set_means(metrics_, "eval/", *sums);
  metrics_.set("timing_s/evaluation", seconds_since(start));
}

void SftRun::end_step() {
  append_metrics();
  write_trace();
  if (comm_.rank() == 0) observer_.step(state_.step, steps_, metrics_);
}

SftSummary SftRun::finish() {
  commit_saved(/*wait=*/true);
  SftSummary summary{.examples = std::ssize(data_.train.examples), .filtered = data_.train.filtered, .steps = state_.step};
  if (state_.extra.contains("eval_loss_before")) summary.eval_loss_before = state_.extra["eval_loss_before"].get<double>();
  summary.run_dir = dir_.path();
  summary.stopped_early = stopped_ && state_.step < steps_;
  if (!summary.stopped_early) {
    if (evaluated_step_ != state_.step) measure("loss after");
    summary.eval_loss_after = last_loss_;
    write_final_model();
    summary.final_model = dir_.final_model();
  }
  write_trace();
  finish_trackers();
  summary.seconds = seconds_since(start_);
  return summary;
}

}  // namespace cohort
