// log.format json: what a run says as JSON objects, one a line, for those who collect logs.
#pragma once

#include <chrono>
#include <string>

#include "cli/progress.h"
#include "core/json.h"

namespace cohort {

// {"event": "message", "text"}, {"event": "warning", "text"}, {"event": "stage", "name", "done", "total", "seconds"} when one begins to take long, each ten
// seconds, and at its end, {"event": "step", "step", "max_steps", "seconds_left", "metrics": {...}}.
class JsonProgress : public TrainObserver {
 public:
  explicit JsonProgress(const ProgressOptions& options) : quiet_(options.quiet), opening_(options.opening) {}
  void message(const std::string& text) override;
  void warning(const std::string& text) override;
  void stage(const std::string& name, int64_t done, int64_t total) override;
  void step(int64_t step, int64_t max_steps, const Metrics& metrics) override;

 private:
  using Clock = std::chrono::steady_clock;
  void open();
  bool quiet_;
  std::string opening_, stage_;
  Clock::time_point stage_start_{}, stage_told_{};
  bool stage_long_ = false;
  TimeLeft time_left_;
};

// The last words of a run: {"event": "summary", "steps", "seconds", "run_dir", "final_model", "stopped_early", ...}.
Json summary_json(const TrainSummary& summary);
Json summary_json(const SftSummary& summary);
Json summary_json(const RmSummary& summary);

// As log.format has it.
template <typename Summary>
std::string summary_text(const Summary& summary, const std::string& format) {
  return format == "json" ? dump_json(summary_json(summary)) + "\n" : summary_table(summary);
}

}  // namespace cohort
