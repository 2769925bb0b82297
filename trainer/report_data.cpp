#include "trainer/report_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "core/check.h"
#include "core/files.h"
#include "trainer/checkpoint.h"
#include "trainer/compare_runs.h"
#include "trainer/event_file.h"
#include "trainer/report_completions.h"
#include "trainer/report_findings.h"

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
void add_curves(Json& run, const std::map<int64_t, Json>& steps, int64_t most) {
  const auto count = static_cast<int64_t>(steps.size()), group = (count + most - 1) / most;
  Json at = Json::array();
  int64_t number = 0;
  for (const auto& [step, metrics] : steps)
    if (++number % group == 0 || number == count) at.push_back(step);
  Json curves = Json::object();
  for (const std::string& name : metric_names(steps)) {
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
  run["steps"] = std::move(at);
  run["steps_per_point"] = group;
  run["metrics"] = std::move(curves);
}

// Steps at which there was an evaluation, with what it found.
Json evaluations(const std::map<int64_t, Json>& steps) {
  Json rows = Json::array();
  for (const auto& [step, metrics] : steps) {
    Json row = {{"step", step}};
    for (const auto& [name, value] : metrics.items())
      if (name.starts_with("eval/")) row[name] = value;
    if (row.size() > 1) rows.push_back(std::move(row));
  }
  return rows;
}

// The first step of each process that trained: event files begin with it.
Json process_starts(const fs::path& run) {
  Json starts = Json::array();
  for (const fs::path& file : event_files(run))
    for (const ScalarEvent& event : read_events(file))
      if (event.starts) starts.push_back(event.step);
  return starts;
}

Json run_data(const fs::path& path, const ReportLimits& limits, size_t runs) {
  CHECK_INPUT(fs::exists(path / "config.yaml"), "{}: no run directory: config.yaml is missing", path.string());
  const std::map<int64_t, Json> steps = read_metrics(path);
  CHECK_INPUT(!steps.empty(), "{}: nothing to report: metrics.jsonl has no step yet", path.string());
  fs::path folder = fs::weakly_canonical(path);
  Json run = {{"name", folder.filename().string()}, {"path", path.string()}, {"config", read_file(path / "config.yaml")}};
  add_curves(run, steps, limits.points);
  run["starts"] = process_starts(path);
  run["checkpoints"] = checkpoint_steps(path / "checkpoints");
  run["findings"] = report_findings(steps);
  run["evaluations"] = evaluations(steps);
  run["completions"] = report_completions(path, limits.completions / static_cast<int64_t>(runs),
                                          limits.completion_bytes / static_cast<int64_t>(runs), limits.longest_completion);
  return run;
}

}  // namespace

Json report_data(const std::vector<fs::path>& runs, const ReportLimits& limits) {
  Json data = {{"runs", Json::array()}};
  for (const fs::path& run : runs) data["runs"].push_back(run_data(run, limits, runs.size()));
  return data;
}

}  // namespace cohort
