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

int64_t step_of_line(const std::string& line, const std::string& where) { return get_int(parse_json(line, where), "step", where, 0, INT64_MAX); }

// The steps of the file's whole lines, ascending.
std::set<int64_t> steps_in(const std::filesystem::path& file) {
  std::set<int64_t> steps;
  if (!std::filesystem::exists(file)) return steps;
  int64_t number = 0;
  for (const std::string& line : read_whole_lines(file)) steps.insert(step_of_line(line, fmt::format("{}:{}", file.string(), ++number)));
  return steps;
}

// A copy of a file, under the first of NAME.1, NAME.2, ... that is not there.
std::filesystem::path keep_as_it_is(const std::filesystem::path& file) {
  for (int i = 1;; ++i) {
    std::filesystem::path copy = file;
    copy += fmt::format(".{}", i);
    if (std::filesystem::exists(copy)) continue;
    std::filesystem::copy_file(file, copy);
    fsync_path(copy);
    return copy;
  }
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

std::string truncate_lines(const std::filesystem::path& file, const std::function<bool(const std::string& line, const std::string& where)>& keeps) {
  if (!std::filesystem::exists(file)) return "";
  std::string kept, first;
  int64_t number = 0, bad = 0;
  for (const std::string& line : read_whole_lines(file)) {  // one that was cut short belongs to no checkpoint
    try {
      if (keeps(line, fmt::format("{}:{}", file.string(), ++number))) kept += line + "\n";
    } catch (const Error& error) {
      if (bad++ == 0) first = error.what();
    }
  }
  const std::string where = bad > 0 ? keep_as_it_is(file).string() : "";
  write_file_atomic(file, kept);
  if (bad == 0) return "";
  return fmt::format("{}{}; the file as it was is kept as {}, and the run goes on without {}", first, bad > 1 ? fmt::format(" (and {} more lines)", bad - 1) : "",
                     where, bad > 1 ? "these lines" : "this line");
}

std::string truncate_metrics(const std::filesystem::path& file, int64_t last_step) {
  return truncate_lines(file, [&](const std::string& line, const std::string& where) { return step_of_line(line, where) <= last_step; });
}

}  // namespace cohort
