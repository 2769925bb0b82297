// log.hooks: commands that get each line of metrics.jsonl on standard input. They are guests: one that hangs, dies or does not read
// costs a warning, never the run.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "reward/outside/lines.h"
#include "reward/outside/program.h"

namespace cohort {

// Not thread-safe. Only finish() waits, for the timeout at most, and the destructor where finish() was not called, for a second.
class MetricsHooks {
 public:
  // Starts each command with `sh -c`, below `launcher`. What it writes to standard output is thrown away.
  MetricsHooks(Launcher& launcher, const std::vector<std::string>& commands, double timeout_s);
  ~MetricsHooks();
  MetricsHooks(const MetricsHooks&) = delete;

  // Hands on a line, without its end, as far as the commands read. One that has read nothing of what waits for it for the timeout is killed.
  void send(const std::string& line);
  // No more lines: the commands may end by themselves, within the timeout for all of them together, or within a second once `hurry`.
  void finish(const std::function<bool()>& hurry = {}) { close(timeout_s_, hurry); }
  // What went wrong since the last call, one a command at most in a run.
  std::vector<std::string> take_warnings();

 private:
  struct Hook {
    std::string command;
    std::unique_ptr<Program> program;  // null: it is over
    std::string unsent;
    int64_t lines = 0;                    // given to it
    Clock::time_point waiting_since{};    // when it last read, or had read everything
    LastLines errors;
  };
  void close(double timeout_s, const std::function<bool()>& hurry);
  void pump(Hook& hook);
  void read_outputs(Hook& hook);
  void give_up(Hook& hook, const std::string& why);

  double timeout_s_;
  std::vector<Hook> hooks_;
  std::vector<std::string> warnings_;
};

}  // namespace cohort
