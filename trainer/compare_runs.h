// Where two runs first differ: step by step, completions before metrics before checkpoints, then the final models.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace cohort {

struct RunDifference {
  int64_t step = 0;  // 0: of no step
  std::string where, a, b;  // "reward", "completions/step_3.jsonl, line 2, ids[4]"; what each run holds there
};

struct RunComparison {
  std::optional<RunDifference> first;  // none: equal in all that both hold
  int64_t steps = 0;                   // steps of the metrics that were found equal
  int64_t completions = 0, checkpoints = 0;
  bool final_models = false;           // both have one, and they were compared
  std::vector<std::string> other_models;  // "best", "final_merged": the same of these
  std::vector<std::string> notes;      // configs that differ, what only one of the two holds
  // Neither run holds anything that could have differed: that is no proof of sameness.
  bool nothing() const { return !first && steps == 0 && completions == 0 && checkpoints == 0 && !final_models && other_models.empty(); }
};

// The steps that are looked at; with a limit, final models are not.
struct StepRange {
  int64_t first = 0, last = INT64_MAX;
  bool holds(int64_t step) const { return first <= step && step <= last; }
  bool all() const { return first == 0 && last == INT64_MAX; }
};

// Compares two run directories: every metric but those that are measured (is_measured), every completion that both wrote,
// the optimizer's state, further files (batch, carried-over groups, reference) and what else of the run goes on in the checkpoints of equal steps, and final/,
// best/ and final_merged/ byte for byte. Runs of different length differ where
// the shorter ends. Exit code 3 when a folder is no run directory or a file in it cannot be read.
RunComparison compare_runs(const std::filesystem::path& a, const std::filesystem::path& b, StepRange range = {});

// metrics.jsonl by step; empty where there is none.
std::map<int64_t, Json> read_metrics(const std::filesystem::path& run);

}  // namespace cohort
