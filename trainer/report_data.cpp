#include "trainer/report_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <set>

#include "core/check.h"
#include "core/files.h"
#include "core/text.h"
#include "trainer/checkpoint.h"
#include "trainer/compare_runs.h"
#include "trainer/event_file.h"
#include "trainer/report_bytes.h"
#include "trainer/report_completions.h"
#include "trainer/report_findings.h"
#include "trainer/run_events.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// Six digits are more than a curve shows.
Json rounded(double value) { return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr); }

std::vector<std::string> metric_names(const std::map<int64_t, Json>& steps) {
  std::vector<std::string> names;
  std::set<std::string> known = {"step"};
  for (const auto& [step, metrics] : steps)
    for (const auto& [name, value] : metrics.items())
      if (value.is_number() && known.insert(name).second) names.push_back(name);
  return names;
}

// Points of curves: each the mean of so many steps, at the last of them.
Json curves_of(const std::map<int64_t, Json>& steps, const std::vector<std::string>& names, int64_t most) {
  const auto count = static_cast<int64_t>(steps.size()), group = (count + most - 1) / most;
  Json at = Json::array();
  int64_t number = 0;
  for (const auto& [step, metrics] : steps)
    if (++number % group == 0 || number == count) at.push_back(step);
  Json curves = Json::object();
  for (const std::string& name : names) {
    Json values = Json::array();
    double sum = 0, there = 0;
    number = 0;
    for (const auto& [step, metrics] : steps) {
      if (const auto value = metrics.find(name); value != metrics.end() && value->is_number()) sum += value->get<double>(), there += 1;
      if (++number % group != 0 && number != count) continue;
      values.push_back(there > 0 ? rounded(sum / there) : Json(nullptr));
      sum = there = 0;
    }
    curves[name] = std::move(values);
  }
  return {{"steps", std::move(at)}, {"steps_per_point", group}, {"metrics", std::move(curves)}};
}

// Fewer points where there are so many metrics that they would not fit, and in the end fewer metrics.
void add_curves(Json& run, const std::map<int64_t, Json>& steps, int64_t most, int64_t bytes) {
  std::vector<std::string> names = metric_names(steps);
  const size_t found = names.size();
  Json made = curves_of(steps, names, most);
  for (int64_t size; (size = bytes_in_page(made)) > bytes && (most > 2 || !names.empty());) {
    const double fits = 0.95 * static_cast<double>(bytes) / static_cast<double>(size);
    if (most > 2) most = std::max<int64_t>(2, static_cast<int64_t>(static_cast<double>(std::min(most, std::ssize(made["steps"]))) * fits));
    else names.resize(static_cast<size_t>(static_cast<double>(names.size()) * fits));
    made = curves_of(steps, names, most);
  }
  for (const auto& [key, value] : made.items()) run[key] = value;
  run["metrics_note"] = names.size() == found ? "" : fmt::format("{} of the {} metrics are shown.", names.size(), found);
}

// Steps at which there was an evaluation, with what it found; evenly fewer where they would not fit.
void add_evaluations(Json& run, const std::map<int64_t, Json>& steps, int64_t bytes) {
  std::vector<Json> rows;
  for (const auto& [step, metrics] : steps) {
    Json row = {{"step", step}};
    for (const auto& [name, value] : metrics.items())
      if (name.starts_with("eval/") && value.is_number()) row[name] = rounded(value.get<double>());
    if (row.size() > 1) rows.push_back(std::move(row));
  }
  Json shown = rows;
  for (int64_t size; (size = bytes_in_page(shown)) > bytes && !shown.empty();) {
    const double fits = 0.95 * static_cast<double>(bytes) / static_cast<double>(size);
    const auto count = static_cast<size_t>(static_cast<double>(shown.size()) * fits);
    shown = Json::array();
    for (const size_t place : evenly(rows.size(), count)) shown.push_back(rows[place]);
  }
  run["evaluations_note"] = shown.size() == rows.size() ? "" : fmt::format("{} of the {} evaluations are shown.", shown.size(), rows.size());
  run["evaluations"] = std::move(shown);
}

std::string config_text(const fs::path& file, int64_t bytes) {
  std::string text = to_valid_utf8(read_file(file));
  if (static_cast<int64_t>(text.size()) <= bytes) return text;
  return to_valid_utf8(text.substr(0, static_cast<size_t>(bytes))) + "\n# cut: too long for this page";
}

// What events.jsonl holds, the latest where it is very much.
Json shown_events(const std::vector<RunEvent>& events, int64_t bytes) {
  Json shown = Json::array();
  int64_t size = 0;
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    Json row = {{"step", event->step}, {"event", event->kind}, {"text", to_valid_utf8(event->text)}};
    size += bytes_in_page(row) + 1;
    if (size > bytes) break;
    shown.push_back(std::move(row));
  }
  std::reverse(shown.begin(), shown.end());
  return shown;
}

// The first step of each process that trained. Of a run without events.jsonl, of an earlier version, event files of TensorBoard begin with it; null
// without either: not known.
Json process_starts(const fs::path& run, const std::vector<RunEvent>& events) {
  Json starts;
  for (const RunEvent& event : events)
    if (event.kind == "start") starts.push_back(event.step + 1);
  if (!starts.is_null()) return starts;
  for (const fs::path& file : event_files(run))
    for (const ScalarEvent& event : read_events(file))
      if (event.starts) starts.push_back(event.step);
  return starts;
}

Json run_data(const fs::path& path, const ReportLimits& limits, int64_t bytes, int64_t completions) {
  CHECK_INPUT(fs::exists(path / "config.yaml"), "{}: no run directory: config.yaml is missing", path.string());
  const std::map<int64_t, Json> steps = read_metrics(path);
  CHECK_INPUT(!steps.empty(), "{}: nothing to report: metrics.jsonl has no step yet", path.string());
  fs::path folder = fs::weakly_canonical(path);
  Json run = {{"name", folder.filename().string()}, {"path", path.string()}, {"config", config_text(path / "config.yaml", bytes / 20)}};
  add_curves(run, steps, limits.points, bytes * 35 / 100);
  const std::vector<RunEvent> events = read_run_events(path);
  run["starts"] = process_starts(path, events);
  run["events"] = shown_events(events, bytes / 20);
  run["checkpoints"] = checkpoint_steps(path / "checkpoints");
  run["findings"] = report_findings(steps);
  add_evaluations(run, steps, bytes / 10);
  // Completions get what is left, but for their note.
  constexpr int64_t kNote = 1000;
  run["completions"] = report_completions(path, completions, std::max<int64_t>(0, bytes - bytes_in_page(run) - kNote), limits.longest_completion);
  const bool samples = std::ranges::any_of(steps, [](const auto& step) { return step.second.contains("reward"); });
  if (run["completions"]["found"] == 0 && !samples) run["completions"]["note"] = "There are none: cohort sft samples no completions.";
  return run;
}

}  // namespace

Json report_data(const std::vector<fs::path>& runs, const ReportLimits& limits) {
  Json data = {{"runs", Json::array()}};
  const auto count = std::ssize(runs);
  for (const fs::path& run : runs) data["runs"].push_back(run_data(run, limits, limits.bytes / count, limits.completions / count));
  return data;
}

}  // namespace cohort
