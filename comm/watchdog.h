// Watchdog: a thread per rank that knows the current section and its deadline, and ends the job when it passes.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace cohort {

class Watchdog {
 public:
  // `expired(message)` is called on the watchdog's thread, once: it reports and ends the process (exit code 4).
  Watchdog(std::string who, std::function<void(const std::string&)> expired);
  ~Watchdog();

  // From now on this rank is in `section` (load, rollout, reward, update, checkpoint, ...) and must leave it within
  // `deadline`; zero: no deadline. `step` is for the message.
  void enter(const char* section, int64_t step, std::chrono::milliseconds deadline);
  void leave();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cohort
