#include "trainer/report_findings.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "trainer/metric_warnings.h"

namespace cohort {
namespace {

void add(Json& findings, int64_t step, const std::string& text) { findings.push_back({{"step", step}, {"text", text}}); }

// Scores that are missing because a checker was late or failed.
void find_missing_scores(Json& findings, const std::map<int64_t, Json>& steps) {
  std::map<std::string, std::pair<int64_t, double>> missing;  // metric: first step, how many
  for (const auto& [step, metrics] : steps)
    for (const auto& [name, value] : metrics.items())
      if (name.starts_with("rewards/") && (name.ends_with("/timeout") || name.ends_with("/error")) && value.is_number() && value.get<double>() > 0) {
        auto& [first, count] = missing.try_emplace(name, step, 0.0).first->second;
        count += value.get<double>();
      }
  for (const auto& [name, found] : missing)
    add(findings, found.first, fmt::format("{}: {} scores are missing, from step {} on", name, found.second, found.first));
}

}  // namespace

Json report_findings(const std::map<int64_t, Json>& steps) {
  Json findings = Json::array();
  MetricWarnings warnings;
  for (const auto& [step, metrics] : steps)
    for (const MetricWarning& warning : warnings.add(metrics)) add(findings, warning.step, fmt::format("step {}: {}", warning.step, warning.text));
  find_missing_scores(findings, steps);
  return findings;
}

}  // namespace cohort
