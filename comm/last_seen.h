// LastSeen: where a rank is, in memory that outlives it, so that others on its host can tell what it was doing when it died or
// stopped. Written by the rank, read by its watchdog and its supervisor.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "comm/thread_stacks.h"

namespace cohort {

class LastSeen {
 public:
  using Clock = std::chrono::steady_clock;  // of the machine, not of the process

  // Of a section (load, rollout, ...), which stays known when it is left, and of the collective in it.
  void enter(std::string_view section, int64_t step, Clock::time_point deadline);
  void leave() { deadline_ = kNone; }
  void enter_collective(std::string_view name, Clock::time_point deadline);
  void leave_collective() { collective_deadline_ = kNone; }
  // The rank's body is done: it may end with any code. Or it ends the job with `exit_code`, and has said why.
  void end(int exit_code) { exit_code_ = exit_code; }

  // Whether a missed deadline is to be told with the rank's stacks (comm/stall_report.h).
  void report_stalls(bool report) { report_stalls_ = report; }
  bool reports_stalls() const { return report_stalls_; }
  ThreadStacks& stacks() { return stacks_; }

  // "section reward of step 3, in all_gather(rollouts)"; "its start" before the first section.
  std::string where() const;
  std::string section() const { return section_.text(); }
  std::string collective() const { return collective_.text(); }
  int64_t step() const { return step_; }
  // Clock::time_point::max(): none.
  Clock::time_point deadline() const { return Clock::time_point(Clock::duration(deadline_.load())); }
  Clock::time_point collective_deadline() const { return Clock::time_point(Clock::duration(collective_deadline_.load())); }
  // Until when it may stand where it is: the section's deadline or, where it waits for others, that of the collective, if it is later.
  Clock::time_point due() const;
  // -1: not given.
  int exit_code() const { return exit_code_; }

 private:
  // Words, so that a reader sees whole characters whatever the writer is doing.
  class Text {
   public:
    void set(std::string_view text);
    std::string text() const;

   private:
    std::array<std::atomic<uint64_t>, 6> words_{};
  };
  static constexpr int64_t kNone = Clock::time_point::max().time_since_epoch().count();

  Text section_, collective_;
  std::atomic<int64_t> step_{0}, deadline_{kNone}, collective_deadline_{kNone};
  std::atomic<int> exit_code_{-1};
  std::atomic<bool> report_stalls_{false};
  ThreadStacks stacks_;
};

// One in memory that a fork shares; never given back. Throws (exit code 6) when there is none.
LastSeen& make_shared_last_seen();

}  // namespace cohort
