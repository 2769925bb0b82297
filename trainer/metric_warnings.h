// Warnings that teach: what a run's metrics say is going wrong, with the figures that say it and what to change.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"

namespace cohort {

// What the rules look at: of each metric the mean of its first values, and its latest values with their steps.
class MetricHistory {
 public:
  static constexpr size_t kFirst = 10, kLatest = 20;
  void add(const Json& metrics);
  int64_t step() const { return step_; }
  // The metric had this value in the last `steps` steps, each of them.
  bool equals_for(const std::string& name, double value, int64_t steps) const;
  // Means of its first kFirst values; of `count` values, the latest but `skip`. Nothing where it has fewer.
  std::optional<double> first(const std::string& name) const;
  std::optional<double> recent(const std::string& name, size_t count, size_t skip = 0) const;

 private:
  struct Series {
    double first_sum = 0;
    size_t first_count = 0;
    std::deque<std::pair<int64_t, double>> latest;
  };
  std::map<std::string, Series> series_;
  int64_t step_ = 0;
};

struct MetricWarning {
  std::string cause;  // "equal_rewards"
  int64_t step = 0;   // after which it is told
  std::string text;
};

// Rules over the metrics of a run, step by step: a pure function of them. Each cause is told once in a run.
class MetricWarnings {
 public:
  // Metrics as they stand in metrics.jsonl, in the order of steps.
  std::vector<MetricWarning> add(const Json& metrics);

 private:
  MetricHistory history_;
  std::set<std::string> told_;
};

// All causes, in the order of the rules.
std::vector<std::string> warning_causes();

}  // namespace cohort
