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
  int64_t bytes = 2900000;             // of all data as they stand in the page, which is to stay below 3 MB; runs share them evenly
  int64_t points = 1000;               // of a curve; more steps are averaged in groups
  int64_t completions = 1200;          // of all runs together
  int64_t longest_completion = 6000;   // bytes of one text
};

// {"runs": [{"name", "path", "config", "steps", "steps_per_point", "metrics_note", "metrics": {NAME: [number or null]}, "starts", "checkpoints",
// "events": [{"step", "event", "text"}], "findings": [{"step", "text"}], "evaluations": [{"step", NAME: number}], "evaluations_note", "completions": {"found", "note", "rows": [...]}}]}.
// Notes are empty where nothing is left out; starts is null where neither events.jsonl nor event files of TensorBoard know of them. Exit code 3 when a folder is
// no run directory, has no metrics, or a file in it cannot be read.
Json report_data(const std::vector<std::filesystem::path>& runs, const ReportLimits& limits = {});

}  // namespace cohort
