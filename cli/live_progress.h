// A train run on a terminal: a view of several lines that is drawn anew as things happen, with messages above it.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cli/live_view.h"
#include "cli/progress.h"

namespace cohort {

class LiveProgress : public TrainObserver {
 public:
  LiveProgress(const ProgressOptions& options, Terminal terminal);
  ~LiveProgress() override;

  void message(const std::string& text) override;
  void warning(const std::string& text) override;
  void stage(const std::string& name, int64_t done, int64_t total) override;
  void section(const std::string& name, int64_t step) override;
  void step(int64_t step, int64_t max_steps, const Metrics& metrics) override;

 private:
  using Clock = std::chrono::steady_clock;
  void open();
  void begin_activity(const std::string& name);
  void print(const std::string& text);
  void draw(bool now);
  void tick();

  std::mutex mutex_;
  std::string opening_;
  const std::function<bool()> ending_;
  const Terminal terminal_;
  LiveLines lines_{terminal_};
  ViewState state_;
  TimeLeft time_left_;
  Clock::time_point activity_start_{}, drawn_{};
  std::optional<Ticker> ticker_;  // last: it ends first
};

}  // namespace cohort
