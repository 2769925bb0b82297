#include "trainer/rm_run.h"

#include "core/check.h"

namespace cohort {

RmRun::RmRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer, const Exec& ex)
    : RowRun(config, comm, watchdog, signals, observer, ex) {
  enter("load", 0, config_.comm.load_timeout_s);
  load();
  begin_optimizer(model_->source);
  updater_ = std::make_unique<RmUpdater>(*model_->policy, *optimizer_, config_.trainer, config_.rm->center_rewards_coefficient, comm_);
  updater_->on_non_finite(non_finite_told());
  evaluate_first();
  watchdog_.leave();
}

void RmRun::load() {
  observer_.stage("loading", 0, 1);
  const MeetingDeadline meeting(comm_, config_, meeting_timeout(config_, config_.comm.load_timeout_s));
  // What can be refused is refused before the run directory is touched.
  load_model_of_config();
  data_ = load_rm_data(config_, *model_, ex_);
  begin_rows(data_.train.fingerprint, std::ssize(data_.train.pairs), config_.rm->pairs_per_step, config_.rm->num_train_epochs);
  for (const PairSet* set : {&data_.train, &data_.eval}) {
    tell_filtered(set->name, set->filtered, set->pairs.size(), "rm.max_length", config_.rm->max_length);
    if (set->equal > 0 && comm_.rank() == 0)
      observer_.warning(fmt::format("{}: in {} of {} pairs 'chosen' and 'rejected' are the same; they teach nothing", set->name, set->equal, set->pairs.size()));
  }
  observer_.stage("loading", 1, 1);
}

std::optional<RowRun::Means> RmRun::evaluate(const std::string& when, const Progress& progress) {
  if (data_.eval.pairs.empty()) return std::nullopt;
  return updater_->evaluate(data_.eval.pairs, when, ex_, progress).means();
}

std::vector<const PreferencePair*> RmRun::next_pairs() const {
  std::vector<const PreferencePair*> pairs;
  for (const int64_t row : next_rows()) pairs.push_back(&data_.train.pairs[static_cast<size_t>(row)]);
  return pairs;
}

void RmRun::update(const std::vector<const PreferencePair*>& pairs) {
  enter("update", next_step(), config_.comm.update_timeout_s);
  const Clock::time_point start = Clock::now();
  const double rate = learning_rate();
  const PairSums sums = updater_->step(pairs, rate, fmt::format("step {}", next_step()), ex_);
  const double seconds = seconds_since(start);
  int64_t tokens = 0;
  for (const PreferencePair* pair : pairs) tokens += std::ssize(pair->chosen) + std::ssize(pair->rejected);
  for (const auto& [name, value] : sums.means()) metrics_.set(name, value);
  count_update(std::ssize(pairs), tokens, rate, updater_->grad_norm(), seconds);
}

RmSummary RmRun::finish() {
  RmSummary summary;
  summary.examples = std::ssize(data_.train.pairs), summary.filtered = data_.train.filtered;
  finish_rows(summary);
  summary.eval_accuracy_before = before("accuracy"), summary.eval_loss_before = before("loss");
  if (!summary.stopped_early) summary.eval_accuracy_after = after("accuracy"), summary.eval_loss_after = after("loss");
  return summary;
}

}  // namespace cohort
