// A program that runs beside the trainer, from the trainer's side: its pipes, and what has become of it.
#pragma once

#include <string>
#include <vector>

#include "core/clock.h"
#include "core/fd.h"
#include "reward/outside/launcher.h"

namespace cohort {

// Not thread-safe.
class Program {
 public:
  // Has it started; does not wait for it.
  Program(Launcher& launcher, const std::vector<std::string>& command);
  // Kills it with everything that it started.
  ~Program();
  Program(const Program&) = delete;

  // None of them blocks. Reset them to close them.
  Fd input, output, error;

  int control() const { return control_.get(); }  // readable when there is news for look()
  void look();
  // It was never executed, or it is dead with everything below it.
  bool over() const { return over_; }
  bool executed() const { return executed_; }

  // Waits until it is over, and kills it at the deadline. Then says how it ended, for people: "ended with exit code 1".
  std::string finish(Clock::time_point deadline);
  bool killed() const { return killed_; }  // it did not end by itself

 private:
  bool wait_until_over(Clock::time_point deadline);
  void kill();
  void kill_without_supervisor() const;

  Fd control_;
  pid_t supervisor_ = 0;  // 0: not known yet
  bool over_ = false, executed_ = false, killed_ = false;
  std::string end_;  // how it ended
};

// "PROGRAM ARGUMENTS...", for messages, at most about 200 characters.
std::string shown_command(const std::vector<std::string>& command);

}  // namespace cohort
