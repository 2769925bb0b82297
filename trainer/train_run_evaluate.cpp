// The evaluations of a run (train_run.h): what they measure, what is kept of them, and the best model.
#include <algorithm>
#include <numeric>

#include "core/check.h"
#include "core/files.h"
#include "trainer/deadlines.h"
#include "trainer/train_run.h"

namespace cohort {
namespace {

// Draws of evaluations and of training steps never share a key.
constexpr uint32_t kEvalDraws = uint32_t{1} << 31;

}  // namespace

// One set of the evaluation data, which may take as long as sampling and scoring of a step.
EvalResult TrainRun::measure_set(const char* stage, const DataPart& part, Generator& generator) {
  enter("evaluation", state_.step, with_grace(rollout_meeting_timeout(config_)));
  const MeetingDeadline meeting(comm_, config_, rollout_meeting_timeout(config_));
  const std::string shown = part.name.empty() ? stage : fmt::format("{}, {}", stage, part.name);
  return evaluate(data_.eval, part, eval_setting(config_), generator, model_->tokenizer, rewards_, kEvalDraws | static_cast<uint32_t>(state_.step),
                  comm_, ex_, [&](int64_t done, int64_t total) { observer_.stage(shown, done, total); }, config_.comm.reward_timeout_s);
}

// Accuracy on the evaluation data with the weights as they are, the mean over sets; nothing when there are no such data. What was sampled
// goes to eval/FILE.jsonl.
std::optional<double> TrainRun::measure(const char* stage, const std::string& file) {
  if (data_.eval.problems.empty()) return std::nullopt;
  const Span span(ex_.trace, "evaluate");
  const std::unique_ptr<Generator> generator = make_generator(Sampling::evaluation, data_.eval);
  std::vector<EvalResult> results;
  std::string lines;
  std::vector<double> accuracies;
  for (const DataPart& part : eval_parts(data_.eval)) {
    EvalResult& result = results.emplace_back(measure_set(stage, part, *generator));
    warn_of_missing(result.missing);
    if (result.judged > 0) accuracies.push_back(result.accuracy);
    for (size_t i = 0; config_.log.eval_completions && comm_.rank() == 0 && i < result.completions.size(); ++i)
      lines += dump_json(eval_completion(result, data_.eval, part, i, rewards_.specs())) + "\n";
    result.rollouts = {}, result.completions = {}, result.scores = {}, result.reasons = {};  // of one set at a time
  }
  if (config_.log.eval_completions) dir_.write_evaluation(file, lines);
  evaluated_step_ = state_.step;
  evaluated_ = eval_metrics(results);
  last_accuracy_ = accuracies.empty() ? std::nullopt : std::optional(std::accumulate(accuracies.begin(), accuracies.end(), 0.0) / static_cast<double>(accuracies.size()));
  return last_accuracy_;
}

// For the table at the end, also of a run that was resumed.
void TrainRun::remember_evaluation(const char* stage) {
  Json metrics = Json::object();
  for (const EvalMetric& metric : evaluated_) metrics[metric.name] = metric.value;
  state_.extra["evaluations"].push_back({{"stage", stage}, {"metrics", metrics}});
}

// The model, when the last evaluation is better than all of this run's training before it.
void TrainRun::keep_best() {
  const std::string& name = config_.trainer.metric_for_best_model;
  if (name.empty() || !last_accuracy_) return;
  const auto found = std::ranges::find(evaluated_, name, &EvalMetric::name);
  if (found == evaluated_.end()) return;  // no completion of its set has a score
  const Json best = state_.extra.value("best", Json());
  const bool better = best.is_null() || best["metric"] != name || (config_.trainer.greater_is_better ? found->value > best["value"].get<double>()
                                                                           : found->value < best["value"].get<double>());
  if (!better) return;
  state_.extra["best"] = {{"step", state_.step}, {"metric", name}, {"value", found->value}};
  enter("checkpoint", state_.step, config_.comm.checkpoint_timeout_s);
  const MeetingDeadline meeting(comm_, config_, checkpoint_meeting());
  write_trained(dir_.best_model(), {}, own_base());
  // Beside the model, not only in the checkpoints: the one of the last step is written before the last evaluation.
  if (comm_.rank() == 0) write_file_atomic(best_file(), dump_json(state_.extra["best"]) + "\n");
  comm_.barrier("best model");
}

std::filesystem::path TrainRun::best_file() const { return dir_.path() / "best.json"; }

// Which model best/ holds, on every rank; of a checkpoint of another run directory none is here, and the next evaluation is the first.
void TrainRun::take_up_best() {
  std::string mine;
  if (comm_.rank() == 0 && std::filesystem::exists(dir_.best_model()) && std::filesystem::exists(best_file())) mine = read_file(best_file());
  const std::vector<std::byte> bytes = comm_.all_gather(std::as_bytes(std::span(mine)), "best model").front();
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  state_.extra.erase("best");
  if (text.empty()) return;
  const std::string where = best_file().string();
  const Json best = parse_json(text, where);
  CHECK_INPUT(best.is_object(), "{}: found {}, wanted what best/ holds: an object of step, metric and value", where, best.type_name());
  state_.extra["best"] = {{"step", get_int(best, "step", where, 0, INT64_MAX)}, {"metric", get_string(best, "metric", where)},
                          {"value", get_double(best, "value", where)}};
}

void TrainRun::evaluate_if_due() {
  if (config_.trainer.eval_steps == 0 || state_.step % config_.trainer.eval_steps != 0) return;
  wait_for_sampling();  // an evaluation has all threads, and the rewards for itself
  const Clock::time_point start = Clock::now();
  if (!measure("evaluation", fmt::format("step_{}", state_.step))) return;
  keep_best();
  for (const EvalMetric& metric : evaluated_) metrics_.set(metric.name, metric.value);
  metrics_.set("timing_s/evaluation", seconds_since(start));
}

}  // namespace cohort
