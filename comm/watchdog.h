// Watchdog: a thread per rank that knows the current section and its deadline, and ends the job
// when it passes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "comm/last_seen.h"

namespace cohort {

class Watchdog {
 public:
  // `expired(message)` is called on the watchdog's thread, at most once: it reports and ends the
  // process (exit code 4), and throws nothing. The message is "WHO: section update exceeded 600 s
  // at step 41"; an empty `who` is left out. `seen` learns of each section; where it says that the
  // rank waits in a collective, it has until kPatience after that one's deadline: not the rank that waits is late,
  // and the collective's own report names those that it waits for.
  Watchdog(std::string who, std::function<void(const std::string&)> expired, LastSeen* seen = nullptr);
  static constexpr std::chrono::milliseconds kPatience{1000};
  // Ends the thread; waits for `expired` when it is running.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // From now on this rank is in `section` (load, rollout, reward, update, checkpoint, ...) and must
  // leave it within `deadline`; zero: no deadline. `step` is for the message. Sections do not nest:
  // the last one entered counts. Both take well under a microsecond and may be called from any
  // thread.
  void enter(const char* section, int64_t step, std::chrono::milliseconds deadline);
  void leave();
  // The section entered last, left or not, and its step; "" before the first.
  struct Last {
    std::string section;
    int64_t step;
  };
  Last last() const;
  LastSeen* seen() const;  // as given

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cohort
