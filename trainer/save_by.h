// SaveBy: trainer.checkpoint_must_save_by, the time by which a run has to be saved, as its job will be ended.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace cohort {

// Seconds of "DD:HH:MM:SS". Refused (exit code 2), naming `what`: anything else, and 0.
double parse_days_and_time(std::string_view text, std::string_view what);

// Seconds since this process began, by the kernel.
double process_age();

class SaveBy {
 public:
  // "": never.
  explicit SaveBy(const std::string& text);

  // How long one took. The longest counts for the next one.
  void step_took(double seconds) { step_ = std::max(step_, seconds); }
  void checkpoint_took(double seconds) { checkpoint_ = std::max(checkpoint_, seconds); }
  // Whether after one more step of a process of that age it would be too late to write a checkpoint.
  bool is_due(double age) const { return by_ > 0 && age + step_ + checkpoint_ >= by_; }

 private:
  double by_ = 0, step_ = 0, checkpoint_ = 0;
};

}  // namespace cohort
