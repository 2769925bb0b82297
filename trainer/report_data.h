// What a report shows of runs, as one JSON value: metrics by step, completions, config, events and what is remarkable about them. Reads
// run directories only, also those of runs in progress.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/json.h"

namespace cohort {

// How much a page may hold; what is more is thinned out, and the data say so.
struct ReportLimits {
  int64_t points = 1000;                 // of a curve; more steps are averaged in groups
  int64_t completions = 1200;            // of all runs together
  int64_t completion_bytes = 1500000;    // of their texts and log-probs as JSON
  int64_t longest_completion = 6000;     // bytes of one text
};

// {"runs": [{"name", "path", "config", "steps", "steps_per_point", "metrics": {NAME: [number or null]}, "starts", "checkpoints", "findings":
// [{"step", "text"}], "evaluations": [{"step", NAME: number}], "completions": {"found", "note", "rows": [...]}}]}. Exit code 3 when a folder is
// no run directory, has no metrics, or a file in it cannot be read.
Json report_data(const std::vector<std::filesystem::path>& runs, const ReportLimits& limits = {});

}  // namespace cohort
