#include "trainer/row_run.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "trainer/dataset.h"
#include "trainer/loss.h"

namespace cohort {

int64_t examples_in(double num_train_epochs, int64_t examples) {
  return std::max<int64_t>(1, std::llround(num_train_epochs * static_cast<double>(examples)));
}

void RowRun::begin_rows(const std::string& fingerprint, int64_t rows, int64_t per_step, double num_train_epochs) {
  identify(fingerprint);
  rows_ = rows, per_step_ = per_step, epochs_ = num_train_epochs;
  steps_ = config_.trainer.max_steps >= 0 ? config_.trainer.max_steps : (examples_in(epochs_, rows_) + per_step_ - 1) / per_step_;
  if (dir_.resume_from()) check_resumable(*dir_.resume_from(), identity_, config_);
  begin_dir();
}

void RowRun::tell_filtered(const std::string& name, int64_t filtered, size_t kept, const char* limit, int64_t longest) {
  if (filtered > 0 && comm_.rank() == 0)
    observer_.message(fmt::format("{}: {} of {} rows are longer than {} {} and left out", name, filtered, filtered + static_cast<int64_t>(kept), limit,
                                  longest));
}

void RowRun::evaluate_first() {
  if (dir_.resume_from()) return;
  drop_metrics_after(0);
  if (!config_.trainer.eval_before) return;
  if (const std::optional<Means> means = measure("loss before"))
    for (const auto& [name, value] : *means) state_.extra[fmt::format("eval_{}_before", name)] = value;
}

std::optional<RowRun::Means> RowRun::measure(const char* stage) {
  enter("evaluation", state_.step, with_grace(config_.comm.update_timeout_s));
  const MeetingDeadline meeting(comm_, config_, meeting_timeout(config_, config_.comm.update_timeout_s));
  const Span span(ex_.trace, "evaluate");
  std::optional<Means> means =
      evaluate(fmt::format("evaluation after step {}", state_.step), [&](int64_t done, int64_t total) { observer_.stage(stage, done, total); });
  if (means) last_ = means, evaluated_step_ = state_.step;
  return means;
}

std::vector<int64_t> RowRun::next_rows() const {
  std::vector<int64_t> rows = step_problems(next_step(), per_step_, rows_, config_.run.seed, config_.data.shuffle);
  if (config_.trainer.max_steps < 0 && next_step() == steps_) rows.resize(static_cast<size_t>(examples_in(epochs_, rows_) - (steps_ - 1) * per_step_));
  return rows;
}

double RowRun::learning_rate() const { return learning_rate_at(config_.optim, next_step() - 1, steps_); }

void RowRun::count_update(int64_t rows, int64_t tokens, double learning_rate, double grad_norm, double seconds) {
  end_update();
  state_.num_tokens += tokens;
  metrics_.set("grad_norm", grad_norm);
  metrics_.set("learning_rate", learning_rate);
  metrics_.set("num_tokens", state_.num_tokens);
  metrics_.set("epoch", static_cast<double>((state_.step - 1) * per_step_ + rows) / static_cast<double>(rows_));
  metrics_.set("timing_s/update", seconds);
  metrics_.set("timing_s/comm", optimizer_->comm_seconds());
  metrics_.set("perf/update_tokens_per_s", static_cast<double>(tokens) / std::max(1e-9, seconds));
}

void RowRun::evaluate_if_due() {
  if (config_.trainer.eval_steps == 0 || state_.step % config_.trainer.eval_steps != 0) return;
  const Clock::time_point start = Clock::now();
  const std::optional<Means> means = measure("evaluation");
  if (!means) return;
  for (const auto& [name, value] : *means) metrics_.set("eval/" + name, value);
  metrics_.set("timing_s/evaluation", seconds_since(start));
}

void RowRun::end_step() {
  append_metrics();
  write_trace();
  if (comm_.rank() == 0) observer_.step(state_.step, steps_, metrics_);
}

std::optional<double> RowRun::before(const std::string& name) const {
  const std::string key = fmt::format("eval_{}_before", name);
  return state_.extra.contains(key) ? std::optional(state_.extra[key].get<double>()) : std::nullopt;
}

std::optional<double> RowRun::after(const std::string& name) const {
  if (!last_) return std::nullopt;
  const auto found = std::ranges::find(*last_, name, &Means::value_type::first);
  return found == last_->end() ? std::nullopt : std::optional(found->second);
}

void RowRun::finish_rows(RowSummary& summary) {
  commit_saved(/*wait=*/true);
  summary.steps = state_.step;
  summary.run_dir = dir_.path();
  summary.stopped_early = stopped_ && state_.step < steps_;
  if (!summary.stopped_early) {
    if (evaluated_step_ != state_.step) measure("loss after");
    enter("checkpoint", state_.step, config_.comm.checkpoint_timeout_s);
    const Span span(ex_.trace, "checkpoint");
    const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
    write_trained(dir_.final_model(), dir_.final_merged());
    comm_.barrier("final model");
    summary.final_model = dir_.final_model();
  }
  write_trace();
  finish_trackers();
  summary.seconds = seconds_since(start_);
}

}  // namespace cohort
