#include "trainer/run_recorder.h"

#include <fmt/format.h>

#include <utility>

#include "trainer/compare_runs.h"

namespace cohort {
namespace {

// Adds the time of its life to a sum.
class Timed {
 public:
  explicit Timed(double& sum) : sum_(sum), start_(Clock::now()) {}
  ~Timed() { sum_ += seconds_since(start_); }
  Timed(const Timed&) = delete;

 private:
  double& sum_;
  Clock::time_point start_;
};

}  // namespace

void RunRecorder::begin(const std::filesystem::path& run, int64_t step, const std::string& text) {
  if (!records_) return;
  run_ = run;
  step_ = step;
  const std::string damaged = drop_run_events_after(run, step);
  warnings_ = {};
  for (const auto& [at, metrics] : read_metrics(run))
    if (at <= step) warnings_.add(metrics);  // told by an earlier process
  append_run_event(run_, {step, "start", text});
  for (const std::string& warning : next_.start_warnings) append_run_event(run_, {step, "warning", warning});
  for (const RunEvent& event : std::exchange(unwritten_, {})) append_run_event(run_, event);
  if (!damaged.empty()) warning(damaged);
}

void RunRecorder::keep(const RunEvent& event) {
  if (!records_) return;
  if (run_.empty()) {
    unwritten_.push_back(event);
  } else {
    append_run_event(run_, event);
  }
}

void RunRecorder::event(const char* kind, int64_t step, const std::string& text) { keep({step, kind, text}); }

double RunRecorder::take_seconds() { return std::exchange(seconds_, 0.0); }

void RunRecorder::message(const std::string& text) { next_.message(text); }

void RunRecorder::warning(const std::string& text) {
  keep({step_, "warning", text});
  next_.warning(text);
}

void RunRecorder::stage(const std::string& name, int64_t done, int64_t total) { next_.stage(name, done, total); }

void RunRecorder::section(const std::string& name, int64_t step) { next_.section(name, step); }

void RunRecorder::step(int64_t step, int64_t max_steps, const Metrics& metrics) {
  const Timed timed(seconds_);
  step_ = step;
  next_.step(step, max_steps, metrics);
  for (const MetricWarning& warning : warnings_.add(metrics.values())) {
    keep({step, "warning", warning.text, warning.cause});
    next_.warning(fmt::format("step {}: {}", step, warning.text));
  }
}

}  // namespace cohort
