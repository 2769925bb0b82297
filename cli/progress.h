// What a person sees while cohort works: one live line on a terminal, plain lines elsewhere. All of
// it on standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "trainer/grpo.h"
#include "trainer/rm.h"
#include "trainer/sft.h"

namespace cohort {

// A line that replaces itself on a terminal. `live` false: lines follow each other.
class StatusLine {
 public:
  StatusLine();  // live when standard error is a terminal that can rewrite lines
  explicit StatusLine(bool live) : live_(live) {}
  ~StatusLine() { close(); }
  bool live() const { return live_; }
  bool color() const { return color_; }  // live, and NO_COLOR is not set
  void show(const std::string& text);    // on a terminal: in place of the last one
  void print(const std::string& text);   // a line that stays
  void close();                          // what is shown stays

 private:
  bool live_ = false, color_ = false, open_ = false;
};

// Progress of one stage ("loading", "evaluation"), shown once it has taken two seconds.
class StageProgress {
 public:
  explicit StageProgress(StatusLine& line) : line_(line) {}
  void update(const std::string& name, int64_t done, int64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  StatusLine& line_;
  std::string name_;
  Clock::time_point start_{}, shown_{};
  bool visible_ = false;
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

// Progress of a train run.
class TrainProgress : public TrainObserver {
 public:
  // `opening` is said before anything else but loading: a start that is refused has said nothing.
  explicit TrainProgress(std::string opening = {}) : opening_(std::move(opening)) {}
  void message(const std::string& text) override;
  void warning(const std::string& text) override;
  void stage(const std::string& name, int64_t done, int64_t total) override;
  void step(int64_t step, int64_t max_steps, const Metrics& metrics) override;
  void close() { line_.close(); }

 private:
  void open();
  std::string opening_;
  StatusLine line_;
  StageProgress stage_{line_};
  StepTime step_time_;                   // evaluations aside, which not every step has
  double steps_ = 0, evaluating_s_ = 0;  // of this process
  std::chrono::steady_clock::time_point last_{};
};

// With --quiet: warnings alone.
class TrainWarnings : public TrainObserver {
 public:
  void warning(const std::string& text) override;
};

// "step  12/100  reward 0.531  length 34.1  1240 tok/s  1m 20s left", or of cohort sft
// "step  12/100  loss 1.234  accuracy 0.712  1240 tok/s  1m 20s left"
std::string step_line(int64_t step, int64_t max_steps, const Metrics& metrics, double seconds_left);
// Accuracies, steps, time and where the run lies: the last words of `cohort train`.
std::string summary_table(const TrainSummary& summary);
// Losses, steps, time and where the run lies: those of `cohort sft`.
std::string summary_table(const SftSummary& summary);
std::string summary_table(const RmSummary& summary);

}  // namespace cohort
