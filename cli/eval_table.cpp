#include "cli/eval_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace cohort {
namespace {

std::optional<double> value_of(const EvalStage& stage, const std::string& name) {
  const auto found = std::ranges::find(stage.metrics, name, &EvalMetric::name);
  return found == stage.metrics.end() ? std::nullopt : std::optional(found->value);
}

// "50.0 % [28.0, 72.0]".
std::string cell(const EvalStage& stage, const std::string& name) {
  const std::optional<double> value = value_of(stage, name);
  if (!value) return "-";
  const std::optional<double> low = value_of(stage, name + "/ci95_low"), high = value_of(stage, name + "/ci95_high");
  std::string text = fmt::format("{:.1f} %", 100 * *value);
  if (low && high) text += fmt::format(" [{:.1f}, {:.1f}]", 100 * *low, 100 * *high);
  return text;
}

// Parts of problems: what has an interval, and the mean over sets.
std::vector<std::string> rows_of(const std::vector<EvalStage>& stages) {
  std::vector<std::string> rows;
  for (const EvalStage& stage : stages)
    for (const EvalMetric& metric : stage.metrics) {
      const bool shown = metric.name == "eval/accuracy" || value_of(stage, metric.name + "/ci95_low");
      if (shown && std::ranges::find(rows, metric.name) == rows.end()) rows.push_back(metric.name);
    }
  return rows;
}

}  // namespace

std::string eval_table(const std::vector<EvalStage>& stages) {
  const std::vector<std::string> rows = rows_of(stages);
  if (rows.empty()) return "";
  const auto shown = [](const std::string& name) { return name.substr(name.find('/') + 1); };
  size_t first = 0;
  for (const std::string& row : rows) first = std::max(first, shown(row).size());
  std::vector<size_t> widths;
  for (const EvalStage& stage : stages) {
    size_t width = stage.name.size();
    for (const std::string& row : rows) width = std::max(width, cell(stage, row).size());
    widths.push_back(width);
  }
  std::string text;
  const auto line = [&](const std::string& name, const auto& entry) {
    std::string cells = fmt::format("{:<{}}", name, first);
    for (size_t s = 0; s < stages.size(); ++s) cells += fmt::format("  {:>{}}", entry(s), widths[s]);
    while (!cells.empty() && cells.back() == ' ') cells.pop_back();
    text += cells + "\n";
  };
  if (std::ranges::any_of(stages, [](const EvalStage& stage) { return !stage.name.empty(); }))
    line("", [&](size_t s) { return stages[s].name; });
  for (const std::string& row : rows) line(shown(row), [&](size_t s) { return cell(stages[s], row); });
  return text + "in brackets: 95 % intervals\n";
}

}  // namespace cohort
