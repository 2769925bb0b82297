#include "cli/json_progress.h"

#include <utility>

#include "cli/failure.h"

namespace cohort {
namespace {

void tell_json(const Json& event) { tell(dump_json(event) + "\n"); }

template <typename Summary>
Json end_of(const Summary& summary) {
  Json json = {{"event", "summary"}, {"steps", summary.steps}, {"seconds", summary.seconds}, {"stopped_early", summary.stopped_early},
               {"run_dir", summary.run_dir.string()}};
  if (!summary.final_model.empty()) json["final_model"] = summary.final_model.string();
  return json;
}

template <typename Value>
void add(Json& json, const char* key, const std::optional<Value>& value) {
  if (value) json[key] = *value;
}

}  // namespace

void JsonProgress::open() {
  if (const std::string opening = std::exchange(opening_, {}); !opening.empty() && !quiet_) tell_json({{"event", "message"}, {"text", opening}});
}

void JsonProgress::message(const std::string& text) {
  open();
  if (!quiet_) tell_json({{"event", "message"}, {"text", text}});
}

void JsonProgress::warning(const std::string& text) { tell_json({{"event", "warning"}, {"text", text}}); }

void JsonProgress::stage(const std::string& name, int64_t done, int64_t total) {
  constexpr std::chrono::seconds kPatience{2}, kEvery{10};
  if (name != "loading") open();
  time_left_.told();
  const Clock::time_point now = Clock::now();
  if (name != stage_) stage_ = name, stage_start_ = stage_told_ = now, stage_long_ = false;
  const bool finished = total > 0 && done >= total;
  if (!quiet_ && (now - stage_told_ >= (stage_long_ ? kEvery : kPatience) || (finished && stage_long_))) {
    stage_long_ = true;
    stage_told_ = now;
    tell_json({{"event", "stage"}, {"name", name}, {"done", done}, {"total", total}, {"seconds", std::chrono::duration<double>(now - stage_start_).count()}});
  }
  if (finished) stage_.clear();
}

void JsonProgress::step(int64_t step, int64_t max_steps, const Metrics& metrics) {
  open();
  time_left_.add(metrics);
  if (!quiet_)
    tell_json({{"event", "step"}, {"step", step}, {"max_steps", max_steps}, {"seconds_left", time_left_.seconds(max_steps - step)}, {"metrics", metrics.values()}});
}

Json summary_json(const TrainSummary& summary) {
  Json json = end_of(summary);
  add(json, "accuracy_before", summary.accuracy_before);
  add(json, "accuracy_after_warm_start", summary.accuracy_after_warm_start);
  add(json, "accuracy_after", summary.accuracy_after);
  if (summary.best_step) json["best_model"] = summary.best_model.string();
  add(json, "best_step", summary.best_step);
  for (const EvalStage& stage : summary.evaluations) {
    Json metrics = Json::object();
    for (const EvalMetric& metric : stage.metrics) metrics[metric.name] = metric.value;
    json["evaluations"].push_back({{"stage", stage.name}, {"metrics", std::move(metrics)}});
  }
  return json;
}

Json summary_json(const RmSummary& summary) {
  Json json = end_of(summary);
  add(json, "eval_accuracy_before", summary.eval_accuracy_before);
  add(json, "eval_accuracy_after", summary.eval_accuracy_after);
  add(json, "eval_loss_before", summary.eval_loss_before);
  add(json, "eval_loss_after", summary.eval_loss_after);
  json["pairs"] = summary.examples;
  json["filtered"] = summary.filtered;
  return json;
}

Json summary_json(const SftSummary& summary) {
  Json json = end_of(summary);
  add(json, "eval_loss_before", summary.eval_loss_before);
  add(json, "eval_loss_after", summary.eval_loss_after);
  json["examples"] = summary.examples;
  json["filtered"] = summary.filtered;
  return json;
}

}  // namespace cohort
