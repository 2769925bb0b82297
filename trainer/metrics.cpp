#include "trainer/metrics.h"

#include "core/check.h"
#include "core/files.h"

namespace cohort {

double Metrics::get(const std::string& name) const {
  CHECK(values_.contains(name), "metric '{}' was never set", name);
  return values_[name].get<double>();
}

void Metrics::append_to(const std::filesystem::path& file) const { append_file(file, dump_json(values_) + "\n"); }

bool is_measured(std::string_view name) { return name.starts_with("timing_s/") || name.starts_with("perf/"); }

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
