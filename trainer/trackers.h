// What is told of each step beside metrics.jsonl: an event file for TensorBoard, and the commands of log.hooks. They show a run; its
// results are none of theirs.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "trainer/config.h"
#include "trainer/event_file.h"
#include "trainer/metrics.h"
#include "trainer/metrics_hooks.h"

namespace cohort {

// On rank 0 alone.
class Trackers {
 public:
  // Starts the hooks. `run`: the run directory.
  Trackers(const LogSection& log, const std::filesystem::path& run);
  // A run that goes on from `step` writes what comes after it again.
  void drop_after(int64_t step);
  void write(const Metrics& metrics);
  // Lets the hooks end, within log.hooks_timeout_s,
  // and at once when `hurry`.
  void finish(const std::function<bool()>& hurry = {});
  std::vector<std::string> take_warnings();

 private:
  std::optional<EventFileWriter> events_;
  std::optional<MetricsHooks> hooks_;
};

}  // namespace cohort
