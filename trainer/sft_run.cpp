#include "trainer/sft_run.h"

#include <cmath>
#include <string>

#include "core/check.h"

namespace cohort {
namespace {

// Means over tokens, under TRL's names. On a GPU it is not known which token is the likeliest.
std::vector<std::pair<std::string, double>> means_of(const TokenSums& sums) {
  std::vector<std::pair<std::string, double>> means = {{"loss", sums.loss / sums.tokens}, {"entropy", sums.entropy / sums.tokens}};
  if (!std::isnan(sums.right)) means.emplace_back("mean_token_accuracy", sums.right / sums.tokens);
  return means;
}

}  // namespace

SftRun::SftRun(const Config& config, Comm& comm, Watchdog& watchdog, const StopSignals* signals, TrainObserver& observer, const Exec& ex)
    : RowRun(config, comm, watchdog, signals, observer, ex) {
  enter("load", 0, config_.comm.load_timeout_s);
  load();
  begin_adapter();
  begin_optimizer(model_->source);
  updater_ = std::make_unique<SftUpdater>(*model_->policy, *optimizer_, config_.trainer, comm_);
  updater_->on_non_finite(non_finite_told());
  evaluate_first();
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
  begin_rows(data_.train.fingerprint, std::ssize(data_.train.examples), config_.sft->examples_per_step, config_.sft->num_train_epochs);
  for (const ExampleSet* set : {&data_.train, &data_.eval}) tell_filtered(set->name, set->filtered, set->examples.size(), "sft.max_length", config_.sft->max_length);
  observer_.stage("loading", 1, 1);
}

std::optional<RowRun::Means> SftRun::evaluate(const std::string& when, const Progress& progress) {
  if (data_.eval.examples.empty()) return std::nullopt;
  return means_of(updater_->evaluate(data_.eval.examples, when, ex_, progress));
}

std::vector<const Example*> SftRun::next_examples() const {
  std::vector<const Example*> examples;
  for (const int64_t row : next_rows()) examples.push_back(&data_.train.examples[static_cast<size_t>(row)]);
  return examples;
}

void SftRun::update(const std::vector<const Example*>& examples) {
  enter("update", next_step(), config_.comm.update_timeout_s);
  const Clock::time_point start = Clock::now();
  const double rate = learning_rate();
  const TokenSums sums = updater_->step(examples, rate, fmt::format("step {}", next_step()), ex_);
  const double seconds = seconds_since(start);
  int64_t tokens = 0;
  for (const Example* example : examples) tokens += std::ssize(example->tokens);
  for (const auto& [name, value] : means_of(sums)) metrics_.set(name, value);
  count_update(std::ssize(examples), tokens, rate, updater_->grad_norm(), seconds);
}

SftSummary SftRun::finish() {
  SftSummary summary;
  summary.examples = std::ssize(data_.train.examples), summary.filtered = data_.train.filtered;
  finish_rows(summary);
  summary.eval_loss_before = before("loss");
  if (!summary.stopped_early) summary.eval_loss_after = after("loss");
  return summary;
}

}  // namespace cohort
