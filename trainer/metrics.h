// metrics.jsonl: one line a step, in the order in which values are set; numbers printed so that they read back exactly.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace cohort {

class Metrics {
 public:
  void set(const std::string& name, double value) { values_[name] = value; }
  void set(const std::string& name, int64_t value) { values_[name] = value; }
  void set_all(const Json& values) { values_.update(values); }  // numbers by name, as values() gives
  const Json& values() const { return values_; }
  double get(const std::string& name) const;  // throws when absent
  // Appends one line; a non-finite value throws (exit code 5) naming it.
  void append_to(const std::filesystem::path& file) const;

 private:
  Json values_ = Json::object();
};

// Whether a metric is measured, a time or an amount of memory, and so not a function of the config.
bool is_measured(std::string_view name);

// Keeps those lines of a JSONL file that keeps(line, "FILE:NUMBER") says true of. Where it throws an Error, the line goes as well, and the file as it
// was is kept as FILE.1 (or .2, ...): returns that, for people; "" where all lines are good.
std::string truncate_lines(const std::filesystem::path& file, const std::function<bool(const std::string& line, const std::string& where)>& keeps);

// Drops lines of metrics.jsonl with "step" > last_step (a resumed run rewrites them), and such as are none; returns what truncate_lines does.
std::string truncate_metrics(const std::filesystem::path& file, int64_t last_step);

// What of the steps [first, last] the file does not tell, in words: "steps 3 to 7, 9 of 1 to 10 are missing"; "" where it has all. `first`: where not
// known, that of the file's first line.
std::string missing_steps(const std::filesystem::path& file, std::optional<int64_t> first, int64_t last);

}  // namespace cohort
