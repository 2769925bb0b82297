// What a person sees while cohort works: a live view on a terminal, plain lines elsewhere, or JSON lines. All of it on standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"
#include "cli/ticker.h"
#include "trainer/grpo.h"
#include "trainer/rm.h"
#include "trainer/sft.h"

namespace cohort {

// A line that replaces itself on a terminal. Elsewhere lines follow each other.
class StatusLine {
 public:
  StatusLine() = default;  // live when standard error is a terminal that can rewrite lines
  explicit StatusLine(Terminal terminal) : terminal_(std::move(terminal)) {}
  bool live() const { return terminal_.live(); }
  void show(const std::string& text);    // on a terminal: in place of the last one
  void print(const std::string& text);   // a line that stays
  void close() { lines_.close(); }       // what is shown stays

 private:
  Terminal terminal_;
  LiveLines lines_{terminal_};
};

// Whether records that go to `output` are shown on a terminal, where progress would stand in their way.
bool shown_on_terminal(const std::string& output);

// Progress of one stage ("loading", "evaluation"), shown once it has taken two seconds. On a terminal it goes on while nothing is told.
class StageProgress {
 public:
  explicit StageProgress(StatusLine& line);
  void update(const std::string& name, int64_t done, int64_t total);
  void close();  // what is shown stays

 private:
  using Clock = std::chrono::steady_clock;
  void show(Clock::time_point now);
  std::mutex mutex_;
  StatusLine& line_;
  std::string name_;
  int64_t done_ = 0, total_ = 0;
  Clock::time_point start_{}, shown_{};
  bool visible_ = false;
  std::optional<Ticker> ticker_;
};

// How long a step takes now: the median of the latest ones. The first steps of a run are slow (memory is taken, completions
// are long), and a mean would believe them for long.
class StepTime {
 public:
  void add(double seconds);
  double seconds() const;  // the lower one of two in the middle; 0 before the first

 private:
  static constexpr size_t kLatest = 15;
  std::deque<double> latest_;
};

// How long the steps that are left take, with the evaluations among them, which not every step has.
class TimeLeft {
 public:
  void told();  // something else but a step: the time of the next one is counted from now
  void add(const Metrics& metrics);
  double seconds(int64_t steps) const;

 private:
  StepTime step_time_;                   // evaluations aside
  double steps_ = 0, evaluating_s_ = 0;  // of this process
  std::chrono::steady_clock::time_point last_{};
};

// Progress of a train run as lines.
class TrainProgress : public TrainObserver {
 public:
  // `opening` is said before anything else but loading: a start that is refused has said nothing.
  explicit TrainProgress(std::string opening = {}, Terminal terminal = {false, false, false})
      : opening_(std::move(opening)), line_(std::move(terminal)) {}
  void message(const std::string& text) override;
  void warning(const std::string& text) override;
  void stage(const std::string& name, int64_t done, int64_t total) override;
  void step(int64_t step, int64_t max_steps, const Metrics& metrics) override;
  void close() { stage_.close(), line_.close(); }  // what is shown stays

 private:
  void open();
  std::string opening_;
  StatusLine line_;
  StageProgress stage_{line_};
  TimeLeft time_left_;
};

// With --quiet: warnings alone.
class TrainWarnings : public TrainObserver {
 public:
  void warning(const std::string& text) override;
};

struct ProgressOptions {
  std::string opening;             // TrainProgress
  std::string_view format = "text";  // log.format
  bool quiet = false;              // warnings alone
  std::function<bool()> ending;    // the process was told to end: nothing is shown any more but what is told. May be empty
};

// What shows a run: on a terminal a live view (cli/live_progress.h), elsewhere lines; or JSON (cli/json_progress.h). It ends with its owner.
std::unique_ptr<TrainObserver> make_progress(const ProgressOptions& options);

// "step  12/100  reward 0.531  length 34.1  1240 tok/s  1m 20s left", or of cohort sft
// "step  12/100  loss 1.234  accuracy 0.712  1240 tok/s  1m 20s left"
std::string step_line(int64_t step, int64_t max_steps, const Metrics& metrics, double seconds_left);
// Accuracies, steps, time and where the run lies: the last words of `cohort train`.
std::string summary_table(const TrainSummary& summary);
// Losses, steps, time and where the run lies: those of `cohort sft`.
std::string summary_table(const SftSummary& summary);
std::string summary_table(const RmSummary& summary);

}  // namespace cohort
