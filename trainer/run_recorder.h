// RunRecorder: stands between a run and its front end, looks at every step's metrics, and keeps what happens in events.jsonl.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/clock.h"
#include "trainer/metric_warnings.h"
#include "trainer/run_events.h"
#include "trainer/train_observer.h"

namespace cohort {

class RunRecorder : public TrainObserver {
 public:
  // `records`: on rank 0; on others it hands on alone.
  RunRecorder(TrainObserver& next, bool records) : next_(next), records_(records) {}

  // From now on there is a run directory, and a process of the run begins: after step 0, or as it goes on from a
  // checkpoint. Events and warnings of later steps are forgotten: they come again. `text`: how it begins.
  void begin(const std::filesystem::path& run, int64_t step, const std::string& text);
  void event(const char* kind, int64_t step, const std::string& text);
  // Seconds that recording and showing took since the last call.
  double take_seconds();

  void message(const std::string& text) override;
  void warning(const std::string& text) override;
  void stage(const std::string& name, int64_t done, int64_t total) override;
  void section(const std::string& name, int64_t step) override;
  void step(int64_t step, int64_t max_steps, const Metrics& metrics) override;

 private:
  void keep(const RunEvent& event);

  TrainObserver& next_;
  bool records_;
  std::filesystem::path run_;        // empty: there is none yet
  std::vector<RunEvent> unwritten_;  // until there is
  MetricWarnings warnings_;
  int64_t step_ = 0;
  double seconds_ = 0;
};

}  // namespace cohort
