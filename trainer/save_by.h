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
  // How long the first one may take, of so many bytes: on a slow disk.
  void checkpoint_will_be(double bytes) { expected_ = bytes / kSlowDisk; }
  static constexpr double kSlowDisk = 1e8;  // bytes/s
  // Whether after one more step of a process of that age it would be too late to write a checkpoint. `ahead`: before it can be written, the next
  // step's completions must be there, which may take as long as a step.
  bool is_due(double age, bool ahead = false) const {
    return by_ > 0 && age + step_ * (ahead ? 2 : 1) + (checkpoint_ > 0 ? checkpoint_ : expected_) >= by_;
  }

 private:
  double by_ = 0, step_ = 0, checkpoint_ = 0, expected_ = 0;
};

}  // namespace cohort
