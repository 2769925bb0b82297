#include "trainer/metrics.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/check.h"
#include "core/files.h"

namespace cohort {

double Metrics::get(const std::string& name) const {
  CHECK(values_.contains(name), "metric '{}' was never set", name);
  return values_[name].get<double>();
}

void Metrics::append_to(const std::filesystem::path& file) const { append_file(file, dump_json(values_) + "\n"); }

bool is_measured(std::string_view name) { return name.starts_with("timing_s/") || name.starts_with("perf/"); }

namespace {

// The steps of the file's whole lines, ascending.
std::set<int64_t> steps_in(const std::filesystem::path& file) {
  std::set<int64_t> steps;
  if (!std::filesystem::exists(file)) return steps;
  int64_t number = 0;
  for (const std::string& line : read_whole_lines(file)) {
    const std::string where = fmt::format("{}:{}", file.string(), ++number);
    steps.insert(get_int(parse_json(line, where), "step", where, 0, INT64_MAX));
  }
  return steps;
}

}  // namespace

std::string missing_steps(const std::filesystem::path& file, std::optional<int64_t> first, int64_t last) {
  const std::set<int64_t> steps = steps_in(file);
  const int64_t from = first.value_or(steps.empty() ? last : *steps.begin());
  std::vector<std::string> gaps;
  for (int64_t step = from; step <= last; ++step) {
    if (steps.contains(step)) continue;
    const auto next = steps.lower_bound(step);
    const int64_t end = next == steps.end() ? last : std::min(*next - 1, last);
    gaps.push_back(step == end ? fmt::format("{}", step) : fmt::format("{} to {}", step, end));
    step = end;
  }
  if (gaps.empty()) return "";
  return fmt::format("steps {} of {} to {} are missing", fmt::join(gaps, ", "), from, last);
}

void truncate_metrics(const std::filesystem::path& file, int64_t last_step) {
  if (!std::filesystem::exists(file)) return;
  std::string kept;
  int64_t number = 0;
  for (const std::string& line : read_whole_lines(file)) {  // one that was cut short belongs to no checkpoint
    const std::string where = fmt::format("{}:{}", file.string(), ++number);
    const Json metrics = parse_json(line, where);
    if (get_int(metrics, "step", where, 0, INT64_MAX) <= last_step) kept += line + "\n";
  }
  write_file_atomic(file, kept);
}

}  // namespace cohort
