// events.jsonl: what happened to a run beside its metrics: starts, checkpoints, warnings, requests to stop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"

namespace cohort {

struct RunEvent {
  int64_t step = 0;  // the last one done
  std::string kind;  // start | warning | checkpoint | stop | end
  std::string text;
  std::string cause = {};  // of a warning that the metrics gave (trainer/metric_warnings.h); else empty
};

// Appends a line {"step", "event", "text", "cause"?, "time": UTC}.
void append_run_event(const std::filesystem::path& run, const RunEvent& event);
// In the order in which they were written; empty where there are none. Exit code 3 names the line that is none.
std::vector<RunEvent> read_run_events(const std::filesystem::path& run);
// A run that goes on after `step` writes what comes later again; its starts remain.
std::string drop_run_events_after(const std::filesystem::path& run, int64_t step);

}  // namespace cohort
